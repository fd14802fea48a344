"""`python -m compatgw_testing` is the command `compatgw-testing`. What does not live here: anything else."""

import sys

from compatgw_testing.cli import main

sys.exit(main())
