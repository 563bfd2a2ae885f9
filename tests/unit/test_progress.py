"""Bars and waiting messages, on a text file that reports being a terminal."""

from __future__ import annotations

import contextlib
import sys

import pytest

from faceflow.progress import progress_bar, waiting
from tests.helpers.terminal import Terminal, terminal


def test_a_bar_counts_names_its_unit_and_goes_when_the_work_is_done() -> None:
    with terminal() as screen, progress_bar("Cropping", 4, unit="frames", patience_s=0) as bar:
        bar.advance()
        assert "Cropping" in screen.getvalue()
        assert "1/4" in screen.getvalue()
        bar.note("loss 0.5 [bold]")
        bar.advance(3)
    shown = screen.getvalue()
    assert "4/4" in shown
    assert "frames/s" in shown
    assert "loss 0.5 [bold]" in shown
    assert shown.endswith("\x1b[2K")  # the line is wiped


def test_short_work_shows_no_bar() -> None:
    with terminal() as screen, progress_bar("Cropping", 2, unit="frames") as bar:
        bar.advance(2)
    assert screen.getvalue() == ""


def test_a_total_can_be_unknown() -> None:
    with terminal() as screen, progress_bar("Predicting", 0, unit="frames", patience_s=0) as bar:
        bar.advance(3)
    assert "3/?" in screen.getvalue()


def test_a_total_is_counted_only_for_a_terminal() -> None:
    counts: list[str] = []

    def count() -> int:
        counts.append("counted")
        return 7

    with progress_bar("Cropping", count, unit="frames", patience_s=0) as bar:
        bar.advance()
    assert counts == []
    with terminal() as screen, progress_bar("Cropping", count, unit="frames", patience_s=0) as bar:
        bar.advance()
    assert "1/7" in screen.getvalue()


def test_no_bar_is_shown_in_a_file_or_if_it_is_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Cropping", 1, unit="frames", patience_s=0) as bar:
        bar.advance()
        bar.note("x")
    with waiting("Exporting"):
        pass
    assert capsys.readouterr() == ("", "")
    with terminal() as screen, progress_bar("Cropping", 1, unit="frames", visible=False, patience_s=0) as bar:
        bar.advance()
    assert screen.getvalue() == ""


def test_only_the_first_process_of_a_run_shows_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with terminal() as screen, progress_bar("Cropping", 1, unit="frames", patience_s=0) as bar:
        bar.advance()
    assert screen.getvalue() == ""


def test_a_bar_that_an_error_ends_gives_the_terminal_back() -> None:
    with terminal() as screen:
        with contextlib.suppress(KeyboardInterrupt), progress_bar("Cropping", 4, unit="frames", patience_s=0) as bar:
            bar.advance()
            raise KeyboardInterrupt
        assert isinstance(sys.stderr, Terminal)  # no longer wrapped
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is visible again


def test_other_lines_stand_above_the_bar() -> None:
    with terminal() as screen, progress_bar("Cropping", 2, unit="frames", patience_s=0) as bar:
        bar.advance()
        sys.stderr.write("WARNING a.mp4\n")
        bar.advance()
    before, after = screen.getvalue().split("WARNING a.mp4\n")
    assert before.endswith("\x1b[2K")  # the line is wiped first
    assert "Cropping" in after


def test_waiting_names_its_reason() -> None:
    with terminal() as screen, waiting("Exporting resnet18"):
        pass
    assert "Exporting resnet18 ..." in screen.getvalue()
