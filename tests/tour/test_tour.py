"""The command line shows what it promises, with and without the real data."""

import io
import json
import sys

import pytest

from causalinv import tour
from causalinv.__main__ import main


def test_chapter_one_shows_gain_and_loss(data_home, shared_chapters, capsys):
    assert main(["--data", str(data_home), "--json", "--chapter", "1"]) == 0
    chapter = json.loads(capsys.readouterr().out)["chapters"][0]
    rows = {row["error of"]: row for row in chapter["table"]}
    assert list(rows) == [
        "truth",
        "zero vector",
        "least squares",
        "augmented least squares",
        "IVL, alpha = 0.1",
        "IVL, alpha = 0",
    ]
    assert rows["truth"]["digits effects"] == 0.0
    for data in ("digits", "device"):
        for norm in ("coefficients", "effects"):
            assert rows["zero vector"][f"{data} {norm}"] == pytest.approx(0.5)
    assert rows["IVL, alpha = 0"]["digits effects"] < 0.02
    assert rows["least squares"]["digits effects"] > 0.4
    assert rows["least squares"]["device coefficients"] > 0.7  # a loss against the zero vector, shown
    assert rows["IVL, alpha = 0"]["device effects"] is None  # not defined: noise moves everything


def test_without_the_device_the_digits_are_shown_and_the_rest_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CAUSALINV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["--seed", "3", "--chapter", "1"]) == 0
    out = capsys.readouterr().out
    assert "The optical device is left out: optical_device is not in the cache" in out
    assert "IVL, alpha = 0" in out
    assert "█" in out
    assert not list(tmp_path.iterdir())  # nothing was downloaded


@pytest.mark.parametrize("number", range(1, 1 + len(tour.chapters())))
def test_a_chapter_is_one_screen_and_begins_with_its_answer(number, chapter, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = chapter(number)
    lines = found.text(f"Chapter {number}. ").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    text = " ".join(" ".join(lines).split())
    parts = [f"Chapter {number}. {found.question.split(chr(10))[0]}", found.answer, "It rests on: "]
    at = [text.index(" ".join(part.split())) for part in parts]
    assert at == sorted(at)
    assert found.answer[0].isupper()
    assert 20 < len(found.answer) < 330


def test_the_page_needs_no_other_file_and_pictures_are_written(shared_chapters, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tour, "chapters", lambda: ["chapter_01", "chapter_02"])
    assert main(["--save", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert [line[:11] for line in said.out.splitlines() if line.startswith("Chapter ")] == [
        "Chapter 1. ",
        "Chapter 2. ",
    ]
    assert "Written to" in said.err
    page = (tmp_path / "out" / "tour.html").read_text()
    assert page.count("<h2>") == page.count("<table") == 2
    assert page.count("src=") == page.count('src="data:image/png;base64,') == 1
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "chapter_1.csv",
        "chapter_2.csv",
        "chapter_2.png",
        "tour.html",
    }


@pytest.mark.parametrize("number", [2, 5])
def test_one_chapter_and_an_ascii_terminal(number, shared_chapters, data_home, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["tour", "--chapter", str(number), "--data", str(data_home)]) == 0
    terminal.flush()
    text = terminal.buffer.getvalue().decode("ascii")
    assert text.startswith(f"Chapter {number}. ")
    assert text.count("Chapter ") == 1
    assert text.count("?") <= 2  # of the question: every mark of the picture has a letter of its own
    assert ("|######" in text) == (number == 5)


def test_no_such_chapter(capsys):
    assert main(["tour", "--chapter", "99"]) == 2
    assert "--chapter must be 1 to" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["pac", "--data", "x"], ["info", "--jobs", "3"], ["tour", "--sites", "2"], ["4"]])
def test_flags_that_do_not_apply_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        main(wrong)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("causalinv 0.")


def test_wrong_use_is_exit_code_two(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "lacks 12 of 12 files" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["--seed", "-1"])
    assert stop.value.code == 2
    capsys.readouterr()
    for sites in ("0", "4"):
        assert main(["pac", "--d", "9", "3", "--m", "5", "--sites", sites]) == 2
        told = f"error: --sites must be from 1 to the fewest features, --d 3; got {sites}\n"
        assert capsys.readouterr().err == told


def test_info_lists_versions_and_extras(capsys):
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["numpy"][0].isdigit()
    assert "extra plot" in info


def test_the_seed_reaches_the_simulation():
    first, again, other = (tour.run(random_state=seed, only=2)[0].table for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_chapter_on_invariance_shows_that_gain_and_harm_look_alike(chapter):
    table = chapter(6).table
    told, hidden = table["told by the data"], table["true error of the effects"]
    for world in ("claim true, confounded", "claim false, not confounded"):
        assert told.loc[world, "p: least squares ignores light"] < 1e-6
    alphas = told["alpha by CV"]
    assert alphas["claim true, confounded"] == pytest.approx(alphas["claim false, not confounded"], rel=0.5)
    assert told.loc["claim true, not confounded", "p: least squares ignores light"] > 1e-3
    assert (
        hidden.loc["claim true, confounded", "alpha = 0"] < 0.1 * hidden.loc["claim true, confounded", "least squares"]
    )
    assert hidden.loc["claim false, not confounded", "alpha = 0"] > 0.1


def test_chapter_on_orientation_shows_what_blindness_buys_and_costs(chapter):
    table = chapter(8).table
    free, bound = table.iloc[0], table.iloc[1]
    assert free["R2, and numberings"] > free["R2, forest"] + 0.1
    assert bound["R2, and numberings"] < bound["R2, forest"] - 0.1
    assert bound["p: y ignores turns"] == 0.01
