"""LangChain's CohereRerank, which asks Cohere's own version of the endpoint."""

import cohere
from langchain_cohere import CohereRerank
from telling import run

DOCUMENTS = ["A text on cats.", "A text on dogs.", "A text on birds."]


def rerank(at):
    if at.rerank is None:
        return None
    client = cohere.ClientV2(api_key=at.key, base_url=at.origin)
    ranker = CohereRerank(client=client, model=at.rerank, top_n=2)
    return [row["index"] for row in ranker.rerank(DOCUMENTS, "dogs")]


run(rerank=rerank)
