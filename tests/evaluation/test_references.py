import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier

from tests.evaluation.data import make_image_store, make_images, make_samples
from weakcl_pipeline.evaluation.references import evaluate_majority, raw_pixel_features
from weakcl_pipeline.images import open_store
from weakcl_pipeline.images.stores import pixel_table


def test_majority_against_scikit_learn():
    samples = make_samples().with_columns(
        label_kind=pl.when(pl.int_range(pl.len()) < 20).then(pl.lit("kind 2")).otherwise("label_kind")
    )
    metrics, predictions = evaluate_majority(samples, ("kind",), seed=5)
    train, test = (samples.filter(pl.col("split") == name) for name in ("train", "test"))
    oracle = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(train), 1)), train["label_kind"])
    assert predictions["predicted"].to_list() == oracle.predict(np.zeros((len(test), 1))).tolist()
    found = metrics["labels"]["kind"]["majority"]
    assert found["class"] == "kind 2"
    assert found["accuracy"] == pytest.approx((test["label_kind"] == "kind 2").mean())
    assert found["balanced_accuracy"] == pytest.approx(1 / 4)
    assert metrics["seed"] == 5
    assert predictions["true"].to_list() == test["label_kind"].to_list()
    assert predictions["sample_id"].to_list() == test["sample_id"].to_list()


def test_of_equally_frequent_classes_the_first_is_guessed():
    metrics, _ = evaluate_majority(make_samples(), None, seed=0)
    assert metrics["labels"]["kind"]["majority"]["class"] == "kind 0"


def smooth_images(samples, size=8, patterns=6):
    """Pictures that are mixtures of a few patterns, as the pixels of real pictures are strongly correlated."""
    rng = np.random.default_rng(0)
    strengths = rng.normal(size=(len(samples), patterns)) * np.geomspace(20, 3, patterns)
    pixels = 128 + strengths @ rng.normal(size=(patterns, size * size * 3)) + rng.normal(size=(len(samples), 1))
    pixels = pixels.clip(0, 255).astype(np.uint8).reshape(-1, size, size, 3)
    return open_store(pixel_table(samples["sample_id"].to_list(), pixels))


def test_pixels_against_an_exact_decomposition():
    samples = make_samples()
    images = smooth_images(samples)
    train = np.arange(60)
    features = raw_pixel_features(images, train, seed=0, components=5)
    pixels = images.read(range(len(samples))).contiguous().numpy().reshape(len(samples), -1) / 255
    exact = PCA(5, svd_solver="full").fit(pixels[train]).transform(pixels)
    assert features.dtype == np.float32
    signs = np.sign((features * exact).sum(axis=0))
    np.testing.assert_allclose(features * signs, exact, atol=0.01 * exact.std())


def test_no_direction_in_which_train_pictures_differ_by_rounding_alone():
    samples = make_samples()
    train = np.arange(60)
    features = raw_pixel_features(make_images(samples, size=8), train, seed=0)
    assert (np.abs(features).max(axis=0) < 100 * features[train].std(axis=0)).all()


def test_pictures_that_are_all_alike_have_features_too():
    samples = make_samples()
    images = open_store(pixel_table(samples["sample_id"].to_list(), np.full((130, 8, 8, 3), 7, dtype=np.uint8)))
    features = raw_pixel_features(images, np.arange(60), seed=0)
    assert features.shape[1] > 0
    assert np.isfinite(features).all()


def test_no_more_components_than_train_pictures_span_or_pixels():
    samples = make_samples()
    assert raw_pixel_features(make_images(samples, size=8), np.arange(10), seed=0).shape == (130, 9)
    assert raw_pixel_features(make_images(samples, size=8), np.tile(np.arange(10), 3), seed=0).shape == (130, 9)
    assert raw_pixel_features(make_images(samples, size=2), np.arange(60), seed=0).shape == (130, 12)


def test_test_pictures_do_not_change_the_components():
    samples = make_samples()
    train = np.arange(60)
    images = make_images(samples)
    features = raw_pixel_features(images, train, 0, components=5)
    assert (raw_pixel_features(make_images(samples), train, 0, components=5) == features).all()
    alone = open_store(make_image_store(samples).slice(0, 60))
    np.testing.assert_allclose(raw_pixel_features(alone, train, 0, components=5), features[:60], atol=1e-4)


def test_large_pictures_are_shrunk_by_area():
    samples = make_samples()
    images = smooth_images(samples, size=64)
    train = np.arange(60)
    features = raw_pixel_features(images, train, seed=0, components=3)
    pixels = images.read(range(len(samples))).contiguous().double().numpy() / 255
    small = pixels.reshape(130, 3, 32, 2, 32, 2).mean(axis=(3, 5)).reshape(130, -1)
    exact = PCA(3, svd_solver="full").fit(small[train]).transform(small)
    signs = np.sign((features * exact).sum(axis=0))
    np.testing.assert_allclose(features * signs, exact, atol=0.01 * exact.std())
