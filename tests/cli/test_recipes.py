"""delaysnn recipes."""

import pytest

from mlgenn_delays.data.registry import dataset
from mlgenn_delays.recipe import data_shape, dump, load_recipe, parse_recipe, recipe_names
from tests.cli.helpers import call, refused


def test_list_shows_every_recipe():
    result = call("recipes")
    assert result.exit_code == 0
    for name in recipe_names():
        assert name in result.stdout
        assert load_recipe(name).summary in result.stdout
    assert "98.67 % planted delays found" in result.stdout


def test_one_shows_settings_and_counts():
    recipe = load_recipe("digits")
    inputs, size = data_shape(recipe)[0], recipe.network.layers[0].size
    result = call("recipes", "digits")
    assert result.exit_code == 0
    assert "beta2 = 0.999" in result.stdout
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["input->hidden1", *[str(inputs * size)] * 2] in rows
    assert ["all", *[str((inputs + 10) * size)] * 2] in rows


def test_settings_of_currents_and_structure():
    result = call("recipes", "fsdd-currents")
    assert result.exit_code == 0
    for line in (
        'encoding = "currents"', 'model = "EulerLIF"', 'kernel = "gaussian"', "[rewiring]",
        'rule = "none"', "every = -1", 'signs = "auto"', "synapses = []",
    ):  # fmt: skip
        assert line in result.stdout
    assert "40 input channels, 10 classes" in result.stderr
    assert "gain and an offset each: 256 neurons of hidden1" in result.stderr
    measured = 100 * load_recipe("fsdd-currents").expected.accuracy
    assert f"expected: validation accuracy {measured:.2f} %" in result.stderr
    assert "expected: not measured yet" in call("recipes", "rawhd").stderr


def test_counts_are_those_of_the_sparse_network(tmp_path):
    file = tmp_path / "sparse.toml"
    recipe = load_recipe("rawhd", ["network.sparsity=0.984375", "rewiring.rule=rigl"])
    file.write_text(dump(recipe))
    rows = [line.split() for line in call("recipes", file).stderr.splitlines()]
    assert ["input->hidden1", "160", "160"] in rows
    assert ["hidden1->output", "80", "80"] in rows


def test_a_file_with_its_expected_result(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[data]\ndataset = "digits"\n[network]\n[[network.layers]]\nsize = 3\n'
        "[delays]\nmax = 5\nlearn = false\n[learning]\nepochs = 2\n"
        '[expected]\naccuracy = 0.9\nseeds = 3\nminutes = 1.5\nmachine = "a laptop"\n'
    )
    result = call("recipes", file)
    assert "expected: test accuracy 90.00 %, mean of 3 seeds, 1.5 min, on a laptop" in result.stderr
    assert ["input->hidden1", "192", "0"] in [line.split() for line in result.stderr.splitlines()]


@pytest.mark.parametrize("name", recipe_names())
def test_stdout_is_the_recipe(name):
    assert parse_recipe(call("recipes", name).stdout, name) == load_recipe(name)


def test_a_file_to_edit(tmp_path):
    file = tmp_path / "mine.toml"
    result = call("recipes", "fsdd", "--out", file)
    assert result.exit_code == 0
    assert f"delaysnn train {file}" in result.stdout
    made = load_recipe(file)
    assert made == load_recipe("fsdd").model_copy(update={"expected": made.expected})
    assert "expected" not in file.read_text() and made.expected == type(made.expected)()
    lines = file.read_text().splitlines()
    (window,) = (line for line in lines if line.startswith("window = "))
    assert window.split("# ")[1] == "a number in (0, 10000] ms"
    before = file.read_bytes()
    assert "which is there already; choose another name" in refused(
        "recipes", "digits", "--out", file
    )
    assert file.read_bytes() == before
    assert "a new .toml file" in refused("recipes", "fsdd", "--out", tmp_path / "mine.txt")
    assert "a folder that exists" in refused("recipes", "fsdd", "--out", tmp_path / "no" / "x.toml")
    assert "the recipe to write" in refused("recipes", "--out", tmp_path / "x.toml")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["digits", "words"])
def test_what_is_next_names_the_data_that_are_needed(tmp_path, name):
    needs = dataset(load_recipe(name).data.dataset).needs_folder
    said = call("recipes", name, "--out", tmp_path / "mine.toml").stdout
    assert said.endswith(f"mine.toml{' --data DIR' if needs else ''}\n")


def test_the_list_fits_a_narrow_terminal(monkeypatch):
    monkeypatch.setattr("mlgenn_delays.cli.tables.FILE_WIDTH", 80)
    lines = call("recipes").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for name in recipe_names():
        (line,) = (each for each in lines if each.split()[:1] == [name])
        assert not line.endswith(name)  # numbers and summary begin beside it


def test_what_a_network_costs_before_its_training():
    said = call("recipes", "digits").stderr
    assert "cost: 35,328 dense synaptic operations per step, connections 0.0 % sparse" in said
    (line,) = (each for each in said.splitlines() if each.startswith("bytes with its initial"))
    assert all(f" {name} " in line for name in ("bundle", "c", "c_int8", "genn"))
    assert "bytes with" not in call("recipes", "words").stderr


def test_unknown():
    assert "did you mean 'fsdd'?" in refused("recipes", "fsd")


def test_what_others_published_is_no_expectation():
    result = call("recipes", "ssc")
    assert "published: 76.1 ± 1.0 % (test)" in result.stderr
    assert "expected: not measured yet" in result.stderr


def test_explain():
    text = call("recipes", "--explain", "network.layers.3.tau_mem").stdout
    assert text.splitlines() == [
        "network.layers.0.tau_mem: default 20.0; a number > 0 ms (or one per neuron, or a "
        "distribution)",
        "    Membrane time constant [ms].",
    ]
    assert call("recipes", "--explain", "rewiring").stdout.count("rewiring.") == 9
    window = call("recipes", "--explain", "data.window").stdout
    assert "data.window (digits): default 30.0; a number" in window and "(sequence)" in window
    assert "data.mel.hop (" in call("recipes", "--explain", "data.mel.hop").stdout
    assert "did you mean 'learning'" in refused("recipes", "--explain", "learnin")
    assert "did you mean 'window'" in refused("recipes", "--explain", "data.windo")
