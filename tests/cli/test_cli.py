"""The command line as a person meets it: help, messages, exit codes."""

import pkgutil
import signal
from dataclasses import replace

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from swath import cli, encoders, sensors
from swath.cli import corpus as corpus_commands
from swath.cli._tables import print_table
from swath.cli.evaluate import _named_encoders
from swath.corpus import Corpus, sources
from swath.encoders import image_statistics
from swath.errors import RecipeError, SwathError
from swath.tasks import metrics
from swath.tasks.schema import TABLE, TASKS
from tests.corpus.sources.published.formats import worldcereal_pixels


def leaves(command, *words: str):
    """Every command below this one, as the words after `swath`."""
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, *words, name)
    if not hasattr(command, "commands"):
        yield words


EVERY_COMMAND = list(leaves(get_command(cli.app)))


@pytest.fixture
def call(monkeypatch, capsys):
    """Run `swath ...` in this process; gives exit code, standard output and standard error."""

    def _call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["swath", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return _call


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_help_with_an_example(command):
    result = CliRunner().invoke(cli.app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"swath {' '.join(command)}" in " ".join(result.output.split())


@pytest.mark.parametrize("group", [cli, corpus_commands], ids=lambda group: group.__name__)
def test_every_file_of_commands_is_listed(group):
    files = {name for _, name, _ in pkgutil.iter_modules(group.__path__) if not name.startswith("_")}
    assert sorted(group.COMMANDS) == sorted(files)


def test_help_lists_the_commands_in_their_order():
    commands = [words[0] for words in EVERY_COMMAND]
    assert list(dict.fromkeys(commands)) == list(cli.COMMANDS)


def test_encoders_are_named_as_they_are_asked_for_or_as_their_arm(tmp_path):
    settings = image_statistics.Config()
    contract = encoders.InputContract(1, ("sentinel-2-l2a/B04",), True, ("reflectance",), (0.1,), (0.1,))
    for name, provenance in (("one", {"arm": "simclr"}), ("two", {"arm": "simclr"}), ("three", {})):
        encoders.save(encoders.build(settings, contract), settings, tmp_path / name, provenance)
    one, two, three = (str(tmp_path / name) for name in ("one", "two", "three"))
    assert _named_encoders([one, f"mine={two}", three])[0] == {
        "simclr": tmp_path / "one",
        "mine": tmp_path / "two",
        "three": tmp_path / "three",
    }
    with pytest.raises(RecipeError, match="two encoders are called 'simclr'"):
        _named_encoders([one, two])


def test_an_encoders_own_sensor_needs_no_file_beside_it(tmp_path, monkeypatch, call):
    bands = [{"name": "R", "unit": "reflectance", "centre_um": 0.66, "width_um": 0.04, "gsd_m": 0.1}]
    sensors.declare({"cli-drone": {"kind": "optical", "dtype": "uint16", "scale": 0.0001, "bands": bands}})
    contract = encoders.InputContract(1, ("cli-drone/R",), True, ("reflectance",), (0.1,), (0.1,))
    settings = image_statistics.Config()
    encoders.save(encoders.build(settings, contract), settings, tmp_path / "mine", {})
    sensors.forget("cli-drone")
    (tmp_path / "recipe.yaml").write_text(
        "name: drone\ncorpus: {path: c}\n"
        "tasks: {cover: {target: {rule: dominant, layer: cover}, inputs: {red: [cli-drone/R]}}}\n"
    )
    seen = []
    monkeypatch.setattr("swath.pipeline.evaluate", lambda recipe, *_, **__: seen.append(recipe) or tmp_path)
    command = ["evaluate", str(tmp_path / "recipe.yaml")]
    assert call(*command, "--encoder", f"mine={tmp_path / 'mine'}")[0] == 0
    assert seen[0].sensors["cli-drone"].bands[0].name == "R"
    assert call(*command[:1], "quickstart", "--encoder", f"mine={tmp_path / 'mine'}")[0] == 0
    assert seen[1].sensors == {}, "a recipe that does not name it stays as it is"
    sensors.forget("cli-drone")


def test_version(call):
    assert call("--version")[:2] == (0, "swath 0.1.0\n")


def test_a_mistake_is_a_message_and_exit_code_2(call):
    code, out, err = call("run", "quikstart")
    assert code == 2
    assert out == ""
    assert "did you mean 'quickstart'?" in err
    assert "Traceback" not in err


def fails_with(monkeypatch, error: BaseException) -> int:
    """Exit code of a command in which this happens."""

    def fails():
        raise error

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code)


def test_a_bug_is_a_message_and_exit_code_70(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert fails_with(monkeypatch, ZeroDivisionError("by zero")) == 70
    said = capsys.readouterr().err
    assert "something unforeseen: ZeroDivisionError: by zero" in said
    assert len(said.splitlines()) == 3
    assert "Traceback" not in said
    assert "ZeroDivisionError" in next(tmp_path.iterdir()).read_text()


def test_a_full_disk_is_a_message(monkeypatch, capsys):
    assert fails_with(monkeypatch, OSError(28, "No space left", "x.zarr")) == 2
    assert "disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_being_stopped_says_that_the_same_command_continues(monkeypatch, capsys, number, code):
    monkeypatch.setattr(cli, "app", lambda: signal.raise_signal(number))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code
    assert "the same command continues where it was" in capsys.readouterr().err


def test_messages_may_hold_brackets(monkeypatch, capsys):
    assert fails_with(monkeypatch, RecipeError("bands [B02, B03] and [/red]", remedy="say [B04]")) == 2
    assert "bands [B02, B03] and [/red]" in capsys.readouterr().err


def test_a_terminal_does_not_obey_a_strangers_names(monkeypatch, capsys):
    assert fails_with(monkeypatch, RecipeError("no band \x1b[2J\udce9")) == 2
    assert "no band \\x1b[2J\\udce9" in capsys.readouterr().err


def row_value(row, value, low, high, task="NA", input="null"):  # noqa: A002 — the column's name
    names = {"task": task, "input": input, "probe": "linear", "row": row, "role": "floor", "of_arm": ""}
    return {**names, "metric": "accuracy", "value": value, "low": low, "high": high, "per_seed": (value,), "note": ""}


def write_table(folder, *values):
    TABLE.write(folder, TABLE.frame(values))


def test_names_are_no_markup(tmp_path, call, capsys):
    write_table(tmp_path, row_value("forest [needle]", 0.5, 0.4, 0.6, task="t [/b]", input="[red]in[/red]"))
    print_table(tmp_path / "table.csv")
    said = capsys.readouterr().err
    assert "t [/b]: [red]in[/red], linear (accuracy, %)" in said
    assert "forest [needle]" in said
    code, _, err = call("corpus", "info", "[/b]")
    assert code == 2
    assert "where: [/b]" in err


def test_a_row_may_be_called_na(tmp_path, capsys):
    nan = float("nan")
    write_table(tmp_path, row_value("nan", 0.5, 0.4, 0.6), row_value("None", 0.25, nan, nan))
    print_table(tmp_path / "table.csv")
    said = capsys.readouterr().err
    assert "NA: null, linear (accuracy, %)" in said
    assert all(word in said for word in ("nan", "None", "50.0", "25.0"))


def test_a_metric_that_is_no_share_is_no_percentage_and_less_may_be_better(tmp_path, capsys, monkeypatch):
    nan, kelvin = float("nan"), replace(metrics.find("accuracy"), unit="number", better="lower")
    monkeypatch.setattr("swath.products.words._metric", lambda name: kelvin)
    write_table(tmp_path, row_value("worst", 2.345, 2.1, 2.51), row_value("best", 0.5, nan, nan))
    print_table(tmp_path / "table.csv")
    said = capsys.readouterr().err
    assert "NA: null, linear (accuracy)" in said
    assert [word in said for word in ("2.35", "2.1", "2.51", "0.5", "nan", "%)")] == [True] * 4 + [False] * 2
    assert said.index("best") < said.index("worst")


@pytest.mark.parametrize("unit", ["°C", "%"])
def test_errors_have_the_unit_of_their_numbers(tmp_path, capsys, unit):
    write_table(tmp_path, row_value("worst", 2.345, 2.1, 2.51) | {"metric": "rmse"})
    parts = dict.fromkeys(TASKS.columns, 1) | {"task": "NA", "label": "location", "note": "", "unit": unit}
    TASKS.write(tmp_path, TASKS.frame([parts]))
    print_table(tmp_path / "table.csv")
    said = capsys.readouterr().err
    assert f"NA: null, linear (rmse, {unit})" in said
    assert "2.35" in said


def test_a_row_without_a_result_is_said_and_not_tabled(tmp_path, capsys):
    lacking = row_value("mine", *[float("nan")] * 3) | {"metric": "", "per_seed": (), "note": "cannot segment"}
    write_table(tmp_path, row_value("majority", 0.5, 0.4, 0.6), lacking)
    print_table(tmp_path / "table.csv")
    said = capsys.readouterr().err
    assert "NA: null, linear: no result of mine: cannot segment" in said
    assert (said.count("majority"), said.count("mine"), said.count("%)")) == (1, 1, 1)
    assert "nan" not in said


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0\0", "task\n"])
def test_a_damaged_table_is_a_message(tmp_path, content):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(SwathError, match="the table cannot be read"):
        print_table(tmp_path / "table.csv")


@pytest.mark.parametrize("name", ["x" * 300, "loop"], ids=["long", "loop"])
def test_a_folder_that_cannot_be_is_a_message(tmp_path, call, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    code, _, err = call("pretrain", "quickstart", "--out", str(tmp_path / name / "run"))
    assert code == 2
    assert "cannot make the run's folder" in err


def test_recipes_show_prints_the_document(call):
    code, out, _ = call("recipes", "show", "quickstart")
    assert code == 0
    assert yaml.safe_load(out)["name"] == "quickstart"


def test_recipes_show_resolved_fills_in_defaults_and_overrides(call):
    _, out, _ = call("recipes", "show", "quickstart", "seeds=[4]", "--resolved")
    recipe = yaml.safe_load(out)
    assert recipe["seeds"] == [4]
    assert "precision" in recipe["arms"]["simclr"]["training"]


def test_recipes_list_names_them_all(call):
    from swath.recipes import shipped

    _, _, err = call("recipes", "list")
    assert all(name in err for name in shipped())


def test_synth_info_check_preview(tmp_path, call):
    corpus = tmp_path / "landscape"
    settings = ["locations=6", "chip_px=16", "dates_optical=2", "dates_radar=1"]
    assert call("corpus", "synth", str(corpus), *settings)[0] == 0
    code, _, err = call("corpus", "info", str(corpus))
    assert code == 0
    assert "sentinel-2-l2a" in err
    assert call("corpus", "check", str(corpus))[0] == 0
    sheet = tmp_path / "sheet.png"
    assert call("corpus", "preview", str(corpus), "--to", str(sheet))[0] == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_synth_with_a_typo_suggests_the_nearest(tmp_path, call):
    code, _, err = call("corpus", "synth", str(tmp_path / "x"), "location=6")
    assert code == 2
    assert "did you mean 'locations'?" in err
    assert not (tmp_path / "x").exists()


def test_a_published_format_becomes_a_corpus(tmp_path, call):
    written = worldcereal_pixels.write(tmp_path / "data")
    arguments = ["corpus", "ingest", "worldcereal-pixels", str(tmp_path / "data"), "--to", str(tmp_path / "c")]
    code, out, _ = call(*arguments, "regions=[belgium]")
    assert code == 0
    assert out.strip() == str(tmp_path / "c")
    assert len(Corpus.open(tmp_path / "c").locations) == len(written["belgium"])


def test_plug_ins_are_listed_with_who_offers_them(call):
    code, _, err = call("plugins", "methods")
    assert code == 0
    rows = [line.split("│")[1:4] for line in err.splitlines() if line.count("│") > 3]
    assert [" ".join(cell.strip() for cell in row) for row in rows][:2] == [
        "methods barlow-twins swath",
        "methods byol swath",
    ]
    code, _, err = call("plugins", "method")
    assert code == 2
    assert "did you mean 'methods'" in err


def test_formats_are_listed_with_a_line_each(call):
    _, _, err = call("corpus", "formats")
    assert all(name in err for name in sources.formats())
    assert all(sources.formats().values())
    assert sources.needed("eurosat") == {}
    assert sources.needed("ssl4eo-l-benchmark") == {"sensor": ("tm_toa", "etm_toa", "etm_sr", "oli_tirs_toa", "oli_sr")}
    squeezed = "".join(err.split())
    assert all(f"{key}=" in squeezed for name in sources.formats() for key in sources.needed(name))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["worldcereal-pixels", "{tmp}"], "a format's corpus needs a folder of its own"),
        (["worldcereal-pixels", "--to", "{tmp}/c"], "the folder to read is not given"),
        (["worldcereal-pixels", "regions=[canada]", "--to", "{tmp}/c"], "the folder to read is not given"),
        (["worldcereal-pixels", "{tmp}/none", "--to", "{tmp}/c"], "it is not there"),
        (["worldcereal-pixels", "{tmp}", "--to", "{tmp}/c"], "no file is named as *.parquet"),
        (["worldcereal-pixels", "{tmp}", "region=[canada]", "--to", "{tmp}/c"], "did you mean 'regions'?"),
        (["worldcereal-pixel", "{tmp}", "--to", "{tmp}/c"], "did you mean 'worldcereal-pixels'?"),
    ],
)
def test_what_is_missing_to_ingest_a_format_is_said(tmp_path, call, arguments, said):
    code, _, err = call("corpus", "ingest", *(text.format(tmp=tmp_path) for text in arguments))
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_folder_that_is_no_corpus(tmp_path, call):
    code, _, err = call("corpus", "info", str(tmp_path))
    assert code == 2
    assert str(tmp_path) in err
