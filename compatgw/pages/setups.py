"""What editors and command lines are told to use this gateway: the file or the settings of each, as it documents them.

What does not live here: snippets for programs (`snippets/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from compatgw.pages.snippets import Spelling


class Setup(NamedTuple):
    """One application.

    Attributes:
        id: In addresses and texts. name: Its own.
        place: The file that the text goes into, or where its settings are; "" for the shell.
        language: Of the text: `yaml`, `toml`, `json`, `shell`, or `fields` for names and values that people type in.
        text: With the places that snippets have, and `<<home>>`, the mount without /v1.
    """

    id: str
    name: str
    place: str
    language: str
    text: str

    @property
    def spelling(self) -> Spelling:
        """How a model's name stands in it."""
        found: dict[str, Spelling] = {"shell": "shell", "fields": "plain"}
        return found.get(self.language, "json")


SETUPS: tuple[Setup, ...] = (
    Setup(
        "cursor",
        "Cursor",
        "Settings > Models > API Keys",
        "fields",
        """\
OpenAI API Key: your key
Override OpenAI Base URL: <<base>>
Add Custom Model: <<chat>>
""",
    ),
    Setup(
        "cline",
        "Cline",
        "Settings > API Configuration",
        "fields",
        """\
API Provider: OpenAI Compatible
Base URL: <<base>>
API Key: your key
Model ID: <<chat>>
""",
    ),
    Setup(
        "continue",
        "Continue",
        "~/.continue/config.yaml",
        "yaml",
        """\
name: My gateway
version: 1.0.0
schema: v1
models:
  - name: Gateway
    provider: openai
    model: "<<chat>>"
    apiBase: "<<base>>"
    apiKey: ${{ secrets.GATEWAY_API_KEY }}
    roles:
      - chat
      - edit
      - apply
""",
    ),
    Setup(
        "claude-code",
        "Claude Code",
        "~/.claude/settings.json",
        "json",
        """\
{
  "env": {
    "ANTHROPIC_BASE_URL": "<<home>>",
    "ANTHROPIC_AUTH_TOKEN": "your key",
    "ANTHROPIC_MODEL": "<<chat>>"
  }
}
""",
    ),
    Setup(
        "codex",
        "Codex CLI",
        "~/.codex/config.toml",
        "toml",
        """\
model = "<<chat>>"
model_provider = "gateway"

[model_providers.gateway]
name = "Gateway"
base_url = "<<base>>"
env_key = "GATEWAY_API_KEY"
wire_api = "responses"
""",
    ),
    Setup(
        "aider",
        "aider",
        ".aider.conf.yml",
        "yaml",
        """\
model: "openai/<<chat>>"
openai-api-base: "<<base>>"
openai-api-key: your key
""",
    ),
    Setup(
        "open-webui",
        "Open WebUI",
        "",
        "shell",
        """\
docker run -d -p 3000:8080 \\
  -e OPENAI_API_BASE_URL='<<base>>' \\
  -e OPENAI_API_KEY="$GATEWAY_API_KEY" \\
  -v open-webui:/app/backend/data \\
  ghcr.io/open-webui/open-webui:main
""",
    ),
    Setup(
        "llm",
        "llm",
        "extra-openai-models.yaml",
        "yaml",
        """\
- model_id: gateway
  model_name: "<<chat>>"
  api_base: "<<base>>"
  api_key_name: gateway
""",
    ),
)
