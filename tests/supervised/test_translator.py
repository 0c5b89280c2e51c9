"""Translation: beam search by brute force, cache and full pass, phrases by hand, metrics, bad data."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from task_checks import check_task

from sim.records import Budget, Percept
from supervised.data.sources.splits import DataError
from supervised.data.sources.translations import (
    catalogue_pairs,
    hide_placeholders,
    near_duplicate_groups,
    translation_splits,
)
from supervised.language.translation.beam_search import beam_search
from supervised.language.translation.sequence_network import SequenceNetwork
from supervised.language.translation.translator import (
    CachedDecoder,
    Translator,
    drafts_of,
    packed_phrases,
    unpacked_phrases,
)
from supervised.language.translation.word_alignment import PhraseTable, lexicon, phrase_table, word_table
from supervised.metrics.translation import TRANSLATION, TranslationTally

sacrebleu = pytest.importorskip("sacrebleu")
pytest.importorskip("tokenizers")

WORDS = {"small": "petite", "red": "rouge", "open": "ouverte", "new": "neuve", "old": "vieille"}
THINGS = {"house": "maison", "door": "porte", "table": "table", "chair": "chaise", "cup": "tasse"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A user's own pairs in a made-up language: each word backwards, the last word first."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abdeilmnorstu"), 4)) for _ in range(40)]
    rows = []
    for _ in range(90):
        own = generator.choice(words, 4, replace=False).tolist()
        rows.append(f"{' '.join(own)} %(n)d,{' '.join(word[::-1] for word in own[::-1])} %(n)d")
    file = tmp_path_factory.mktemp("pairs") / "own.csv"
    file.write_text("en,fr\n" + "\n".join(rows))
    return translation_splits("", file, ("fr",), seed=0)


def tiny(**keys):
    return Translator(
        **(
            {
                "subwords": 100,
                "width": 16,
                "layers": 1,
                "heads": 2,
                "languages": ("fr",),
                "confidence": -100.0,
            }
            | keys
        )
    )


def network():
    torch.manual_seed(0)
    made = SequenceNetwork(subwords=6, width=8, layers=2, heads=2, dropout=0.0).eval()
    with torch.no_grad():
        made.embedding.weight.mul_(3)
    return made, made.encode(torch.tensor([[2, 3, 5, 4]]), torch.tensor([[0, 0, 1, 1]]))


@torch.no_grad()
def test_beam_search_finds_what_brute_force_finds():
    """Six tokens, four at most: the best of all 1 + 5 + 25 + 125 + 625 sequences, and its score."""
    made, memory = network()
    begin, end, longest = 3, 4, 4

    def score(tokens):
        said = torch.tensor([[begin, *tokens]])
        log, _, _ = made.decode(said, memory)
        following = [*tokens, end]
        return sum(float(log[0, i, token]) for i, token in enumerate(following)) / ((5 + len(following)) / 6)

    others = [token for token in range(6) if token != end]
    every = [row for n in range(longest + 1) for row in itertools.product(others, repeat=n)]
    best = max(every[:200], key=score)
    found = beam_search(CachedDecoder(made, memory).extend, begin=begin, end=end, beams=700, longest=longest)
    assert len(every) == 781 and found[0].score >= score(best) - 1e-6
    assert found[0].score == pytest.approx(score(found[0].tokens), abs=1e-4)
    assert {one.tokens for one in found} <= set(every) and len(found) == 700


def test_beam_search_of_a_known_table_beats_greedy():
    """The greedy path begins with .6, after which nothing is likely; the other one ends with .4 · 1."""
    table = {(): (0.6, 0.4, 0.0), (0,): (0.3, 0.3, 0.4), (1,): (0.0, 0.0, 1.0)}
    alive = [()]

    def extend(parents, tokens):
        nonlocal alive
        alive = [(*alive[p], t) if t != 9 else () for p, t in zip(parents, tokens, strict=True)]
        rows = [table.get(one, (0.0, 0.0, 1.0)) for one in alive]
        return np.log(np.array(rows) + 1e-12)

    best = beam_search(extend, begin=9, end=2, beams=2, longest=3, alpha=0.0)[0]
    alive = [()]
    greedy = beam_search(extend, begin=9, end=2, beams=1, longest=3, alpha=0.0)[0]
    assert best.tokens == (1,) and best.log_probability == pytest.approx(np.log(0.4))
    assert greedy.log_probability <= best.log_probability


@torch.no_grad()
def test_the_cached_decoder_gives_what_the_full_pass_gives():
    """Also where hypotheses change places: 0, 1 → 1, 0, 0."""
    made, memory = network()
    cached = CachedDecoder(made, memory)
    cached.extend([0], [3])
    cached.extend([0, 0], [2, 5])
    last = cached.extend([1, 0, 0], [1, 1, 5])
    for row, tokens in zip(last, ([3, 5, 1], [3, 2, 1], [3, 2, 5]), strict=True):
        whole, points, _ = made.decode(torch.tensor([tokens]), memory)
        assert row == pytest.approx(whole[0, -1].numpy(), abs=1e-5)
        assert np.exp(row).sum() == pytest.approx(1, abs=1e-5)
        assert points[0].sum(1).tolist() == pytest.approx([1] * 3, abs=1e-5)


def test_model_1_learns_the_words_of_two_sentences():
    """Brown et al.: "the house / das Haus", "the book / das Buch": das goes with the, Haus with house."""
    pairs = [(np.array([0, 1]), np.array([0, 1])), (np.array([0, 2]), np.array([0, 2]))]
    once = lexicon(pairs, (3, 3), iterations=1)
    assert once[0].tolist() == [0.5, 0.25, 0.25] and once[1].tolist() == [0.5, 0.5, 0.0]
    table = lexicon(pairs, (3, 3), iterations=50)
    assert table.argmax(1).tolist() == [0, 1, 2] and table.max(1).min() > 0.95
    assert table.sum(1) == pytest.approx(np.ones(3))


def test_phrases_swap_places_where_word_by_word_cannot():
    pairs = [(f"the {a} {t}", f"la {THINGS[t]} {WORDS[a]}") for a in WORDS for t in THINGS][1:]
    words, phrases = word_table(pairs), phrase_table(pairs)
    assert words.translate("the small house") == "la petite maison"
    assert phrases.translate("The red house!") == "La maison rouge!"


def test_a_phrase_table_survives_its_packing_without_its_longest_phrases():
    table = PhraseTable({("a", "b"): "x y", ("a",): "é"})
    assert unpacked_phrases(packed_phrases(table)) == table
    noise = np.random.default_rng(0).integers(0, 10**9, (9_000, 2)).astype(str).tolist()
    large = PhraseTable({("a",): "é"} | {(*row, "c"): row[1] for row in noise})
    again = unpacked_phrases(packed_phrases(large)).phrases
    assert 100 < len(again) < len(large.phrases) and again[("a",)] == "é"


def test_drafts_of_training_messages_do_not_know_their_own_translation(own):
    """A table of all messages gives each its own translation; drafts come from tables without it."""
    drafts = drafts_of(own.train)
    right = [truth.caption for truth in own.train.truths]
    known = phrase_table(list(zip(own.train.values, right, strict=True)))
    assert [known.translate(message) for message in own.train.values] == right
    assert len(drafts) == len(right) and all(drafts)


def test_metrics_are_those_of_sacrebleu():
    said = ["Le chat est sur la table.", "Un chien court", "", "oui"]
    true = ["Le chat dort sur la table.", "Le chien court vite.", "Rien.", "oui, oui"]
    tally = TranslationTally(said, true)
    scores = tally.score(np.ones(4))
    assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(said, [true]).score)
    assert scores["chrf"] == pytest.approx(sacrebleu.corpus_chrf(said, [true]).score)
    twice = sacrebleu.corpus_bleu([*said, said[0]], [[*true, true[0]]]).score
    assert tally.score(np.array([2.0, 1, 1, 1]))["bleu"] == pytest.approx(twice)
    same = [Percept("truth", caption=text) for text in true]
    assert TRANSLATION.accumulate(same, same, None).score(np.ones(4))["chrf"] == pytest.approx(100)
    assert f"version:{sacrebleu.__version__}" in TRANSLATION.protocol()["bleu"]


def test_near_duplicates_stay_together():
    messages = ["Add %s", "add a thing", "Add: {name}!", "Delete the thing now", "now delete the thing"]
    groups = near_duplicate_groups(messages).tolist()
    assert groups[0] == groups[2] and groups[3] == groups[4] and len(set(groups)) == 3


def test_the_task_keeps_its_interface(own):
    check_task(tiny(), own, updates=2)


def test_the_network_begins_as_one_that_repeats_the_draft_and_learns_from_there(own):
    model = tiny(learning_rate=1e-2, batch_subwords=600).build(own.classes, seed=0)
    fit = model.fit(own.train, own.validation, seed=0)
    before = fit.validate()["loss"]
    pairs = list(zip(own.train.values, (truth.caption for truth in own.train.truths), strict=True))
    table, messages = phrase_table(pairs), list(own.test.values)
    said = [percept.caption or "" for percept in model.perceive(messages)]
    drafts = [table.translate(message) for message in messages]
    assert TranslationTally(said, drafts).score(np.ones(len(said)))["chrf"] > 80
    list(fit.learn(Budget(None, 20)))
    assert fit.validate()["loss"] < before
    words, read, shares = model.alignment("red cup", "la tasse rouge")
    assert (words, read) == (["la", "tasse", "rouge"], ["red", "cup"])
    assert shares.shape == (3, 3) and shares.sum(1) == pytest.approx(np.ones(3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("en\nhouse\n", "one column"),
        ("en,fr\nhouse,maison\n", "1 pairs of English and fr: at least 20"),
    ],
)
def test_pairs_that_cannot_be_learned_from_are_refused_by_name(tmp_path, text, said):
    file = tmp_path / "own.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        translation_splits("", file, ("fr",), seed=0)


def test_pairs_and_catalogues_that_cannot_be_used_are_counted(tmp_path):
    file = tmp_path / "own.csv"
    rows = [f"thing {'abcdefghij'[i % 10] * (2 + i)},chose {i}" for i in range(40)]
    rows += ["house,", ",maison", "%s,%s", "word " * 100 + ",mot"]
    file.write_text("en,fr\n" + "\n".join(rows))
    assert translation_splits("", file, ("fr",), seed=0).skipped == (
        "2 pairs with an empty side",
        "1 pairs with more than 400 characters",
        "1 pairs without a word",
    )
    skipped: Counter[str] = Counter()
    (tmp_path / "bad.mo").write_bytes(b"no catalogue")
    assert catalogue_pairs([tmp_path / "bad.mo"], skipped) == {}
    assert skipped == {"catalogues that cannot be read": 1}


def test_more_placeholders_than_marks_stay_as_they_are():
    text = " ".join(f"%({name})s" for name in "abcdefghijkl")
    hidden, places = hide_placeholders(text)
    assert len(places) == 9 and "%(l)s" in hidden
