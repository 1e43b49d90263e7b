"""IncompeBench, strict: 500 queries for 1,574 pieces by one composer, each pair judged by grades."""

from unisono.retrieval.evaluate.benchmarks import BenchmarkCard, JudgedFiles

CARD = BenchmarkCard(
    name="incompebench",
    title="IncompeBench, strict",
    music="incompebench",
    homepage="https://huggingface.co/datasets/mixedbread-ai/incompebench-strict",
    dataset="hf:mixedbread-ai/incompebench-strict@ad7297f765dcff7e398dccefa0f9caf4b5c81715",
    judged=JudgedFiles(query_id="query-id", query_text="query", music_id="corpus-id"),
    revision="ad7297f765dcff7e398dccefa0f9caf4b5c81715; another revision has other numbers",
    license="CC BY 4.0",
    split="test",
    queries=500,
    candidates=1574,
    protocol="Music of 30 s is relevant as far as a language model judged it, checked by people: grades 2 and 3 here, "
    "grade 1 counts as 0. The main measure is nDCG@10.",
    overlaps=("no dataset that its authors name; all of it is by one composer, published on Incompetech",),
)
