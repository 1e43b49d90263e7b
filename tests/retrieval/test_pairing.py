import numpy as np

from unisono.retrieval.pairing import pair, validate

CAPTIONS = ["slow choir", "a waltz", "fast drums", "slow choir", "solo flute"]
CAPTION_OF = np.array([0, 0, 1, 2, 3])
RECORDINGS = ["r:1", "r:2", "", "r:1"]  # excerpts 0 and 3 are of one recording


def table(relevance):
    matrix = np.zeros((relevance.queries, relevance.candidates), dtype=int)
    matrix[relevance.query, relevance.candidate] = 1
    return matrix.tolist()


def test_a_text_is_asked_once_and_all_excerpts_it_describes_are_right():
    pairing = pair(CAPTIONS, CAPTION_OF, RECORDINGS)
    assert pairing.texts == ["slow choir", "a waltz", "fast drums", "solo flute"]
    assert pairing.text_of.tolist() == [0, 1, 2, 0, 3]
    assert table(pairing.relevance) == [
        [1, 0, 1, 1],  # of excerpt 0, of 2, and of 3, which is another excerpt of 0's recording
        [1, 0, 0, 1],
        [0, 1, 0, 0],
        [1, 0, 0, 1],
    ]
    assert pairing.recording_of_text.tolist() == [0, 0, 1, 0]


def test_the_other_direction_is_the_same_relation():
    pairing = pair(CAPTIONS, CAPTION_OF, RECORDINGS)
    assert table(pairing.relevance.reversed()) == np.array(table(pairing.relevance)).T.tolist()


def test_excerpts_without_a_recording_stay_apart():
    pairing = pair(["a", "b"], np.array([0, 1]), ["", ""])
    assert table(pairing.relevance) == [[1, 0], [0, 1]]


def test_validation_measures_both_directions():
    pairing = pair(["a", "b", "c"], np.array([0, 1, 2]), ["", "", ""])
    music = np.eye(3)
    texts = np.array([[1, 0, 0], [0.1, 0, 1], [0.1, 0, 0.9]])  # the second and third point to the third excerpt
    found = validate(pairing, texts, music)
    assert found["text_to_music"]["recall@1"] == 2 / 3
    assert found["text_to_music"]["mrr"] == (1 + 1 / 3 + 1) / 3
    # The second excerpt is equally far from all texts: last. For the third, the second text is closer than its own.
    assert found["music_to_text"]["mrr"] == (1 + 1 / 3 + 1 / 2) / 3
