from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from faceflow.aus import Kind
from faceflow.data.labels import LabelFile, read_labels
from faceflow.errors import DataError

NAN = float("nan")


def csv(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, *, missing: tuple[float, ...] = (), prefer: Kind = "intensity") -> LabelFile:
    columns = {name: name for name in ("filename", "subject", "domain")}
    key = "data.sources.faces.labels"
    return read_labels(path, missing_values=missing, prefer=prefer, columns=columns, key=key)


def read_text(folder: Path, text: str, **settings: Any) -> LabelFile:
    return read(csv(folder, text), **settings)


def column(folder: Path, *cells: str, **settings: Any) -> npt.NDArray[np.float64]:
    rows = "".join(f"{cell},{number}.jpg\n" for number, cell in enumerate(cells))
    return read_text(folder, f"AU12,filename\n{rows}", **settings).scores[:, 0]


def error_of(folder: Path, text: str) -> str:
    path = csv(folder, text)
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message
    return message.replace(str(path), "labels.csv")


class TestReading:
    def test_a_plain_file_gives_numbers_names_and_line_numbers(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "AU6,filename,AU12,subject\n0,a.jpg,3,s1\n5,b.jpg,,s2\n")
        assert file.aus == ("AU6", "AU12")
        np.testing.assert_array_equal(file.scores, [[0, 3], [5, NAN]])
        assert file.lines.tolist() == [2, 3]
        assert file.where(1) == f"{file.path}:3"
        assert file.frame["filename"].tolist() == ["a.jpg", "b.jpg"]

    @pytest.mark.parametrize(("row", "column"), [("a\0b.jpg,s1", "filename"), ('a.jpg,"s\0"', "subject")])
    def test_a_nul_character_is_refused(self, tmp_path: Path, row: str, column: str) -> None:
        error = error_of(tmp_path, f"AU12,filename,subject\n0,c.jpg,s2\n1,{row}\n")
        assert error.startswith(f"labels.csv:3: expected text in column '{column}', got a NUL character in '")

    def test_spaces_and_quotes_do_not_matter(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, ' "AU6" , filename, AU12_r, subject \n 1 , a.jpg , "2", "s 1"\n')
        assert file.aus == ("AU12",)  # a file that names a column intensity gives its intensities
        assert file.scores.tolist() == [[2]]
        assert file.frame["filename"].tolist() == ["a.jpg"]
        assert file.frame["subject"].tolist() == ["s 1"]

    def test_a_byte_order_mark_of_excel_does_not_matter(self, tmp_path: Path) -> None:
        path = tmp_path / "excel.csv"
        path.write_bytes(b"\xef\xbb\xbfAU12,filename\r\n3,a.jpg\r\n")
        assert read(path).aus == ("AU12",)

    def test_true_and_false_are_labels(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "AU4,AU12,filename\nTrue,3,a.jpg\nFALSE,0,b.jpg\n true ,,c.jpg\n,1,d.jpg\n")
        np.testing.assert_array_equal(file.scores, [[1, 3], [0, 0], [1, NAN], [NAN, 1]])
        assert file.logical == {"AU4"}

    def test_names_are_kept_as_text(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "AU12,filename,subject,video\n1,a.jpg,007,0001\n")
        assert file.frame["subject"].tolist() == ["007"]
        assert file.frame["video"].tolist() == ["0001"]

    def test_home_is_expanded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        csv(tmp_path, "AU12,filename\n1,a.jpg\n")
        assert read(Path("~/labels.csv")).path == tmp_path / "labels.csv"

    def test_empty_lines_are_skipped_and_still_counted(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "AU12,filename\n\n1,a.jpg\n,\n2,b.jpg\n\n\n")
        assert file.scores.tolist() == [[1], [2]]
        assert file.lines.tolist() == [3, 5]

    def test_a_row_that_ends_early_lacks_its_last_labels(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "filename,AU6,AU12\na.jpg,1\nb.jpg,1,2\n")
        np.testing.assert_array_equal(file.scores, [[1, NAN], [1, 2]])


class TestMissingLabels:
    @pytest.mark.parametrize("cell", ["", " ", "-1", "-1.0", "NaN", "nan", "N/A", "n/a", "NA", "null", "None"])
    def test_a_missing_code_is_nan(self, tmp_path: Path, cell: str) -> None:
        np.testing.assert_array_equal(column(tmp_path, cell, "0", "3"), [NAN, 0, 3])

    def test_nine_is_missing_only_where_the_data_set_says_so(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(column(tmp_path, "9", "1", "-1", missing=(9,)), [NAN, 1, NAN])
        np.testing.assert_array_equal(column(tmp_path, "9", "1"), [9, 1])

    def test_several_codes_can_mean_missing(self, tmp_path: Path) -> None:
        np.testing.assert_array_equal(column(tmp_path, "9", "999", "2", missing=(9, 999)), [NAN, NAN, 2])


class TestColumnsOfOtherTools:
    OPENFACE = "filename,AU01_r,AU12_r,AU01_c,AU12_c,AU28_c\na.jpg,1.5,3.2,1,1,0\n"

    def test_openface_intensities_when_intensity_is_learnt(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, self.OPENFACE, prefer="intensity")
        assert file.aus == ("AU1", "AU12")
        assert file.scores.tolist() == [[1.5, 3.2]]

    def test_openface_occurrences_when_occurrence_is_learnt(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, self.OPENFACE, prefer="occurrence")
        assert file.aus == ("AU1", "AU12", "AU28")
        assert file.scores.tolist() == [[1, 1, 0]]

    def test_an_au_in_other_units_is_left_out_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            read_text(tmp_path, self.OPENFACE, prefer="intensity")
        assert "left out AU28, whose only columns have different units from 'AU01_r'" in caplog.text

    @pytest.mark.parametrize(
        ("prefer", "aus", "scores"), [("occurrence", ("AU12", "AU7"), [1, 0]), ("intensity", ("AU12", "AU5"), [3.5, 2])]
    )
    def test_libreface_units_never_mix(
        self, tmp_path: Path, prefer: Kind, aus: tuple[str, ...], scores: list[float]
    ) -> None:
        text = "filename,au_12,au_7,au_12_intensity,au_5_intensity\na.jpg,1,0,3.5,2\n"
        file = read_text(tmp_path, text, prefer=prefer)
        assert file.aus == aus
        assert file.scores.tolist() == [scores]

    def test_a_plain_column_goes_before_the_kind_that_is_not_asked_for(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "filename,AU12_c,AU12\na.jpg,1,4\n", prefer="intensity")
        assert file.scores.tolist() == [[4]]

    def test_sides_stay_apart(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "filename,AU12_L,AU12_R,AUL2\na.jpg,1,4,2\n")
        assert file.aus == ("AU12_L", "AU12_R", "AU2_L")


class TestBrokenFiles:
    def test_a_missing_file_names_the_config_key_and_the_path(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"data\.sources\.faces\.labels: expected a CSV file, got '.*nope\.csv' \(no"
        ):
            read(tmp_path / "nope.csv")

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"data\.sources\.faces\.labels: expected a CSV file, .* \(is a directory\)"
        ):
            read(tmp_path)

    @pytest.mark.parametrize("text", ["", "\n\n"])
    def test_an_empty_file(self, tmp_path: Path, text: str) -> None:
        assert error_of(tmp_path, text).startswith("labels.csv:1: expected a header, got an empty line")

    def test_only_a_header(self, tmp_path: Path) -> None:
        assert error_of(tmp_path, "AU12,filename\n").startswith("labels.csv: expected rows, got only a header")

    def test_no_filename_column_suggests_the_likely_one(self, tmp_path: Path) -> None:
        message = error_of(tmp_path, "AU12,file_name,subject\n1,a.jpg,s\n")
        assert message.startswith("labels.csv: expected a column 'filename', got AU12, file_name, subject")
        assert "did you mean 'file_name'?" in message

    def test_no_au_column(self, tmp_path: Path) -> None:
        message = error_of(tmp_path, "smile,filename\n1,a.jpg\n")
        assert message.startswith("labels.csv: expected AU columns such as AU12, got smile, filename")

    def test_only_the_first_ten_columns_are_listed(self, tmp_path: Path) -> None:
        header = ",".join(f"c{number}" for number in range(12))
        assert "c9, ...;" in error_of(tmp_path, f"{header}\n")

    @pytest.mark.parametrize("cell", ["smile", "1,500", "inf", "0x3", "?"])
    def test_text_in_a_label_cell_names_its_line_and_column(self, tmp_path: Path, cell: str) -> None:
        message = error_of(tmp_path, f'filename,AU12\na.jpg,1\nb.jpg,"{cell}"\n')
        assert message.startswith(f"labels.csv:3: expected a number in column 'AU12', got '{cell}'")

    def test_the_line_is_right_after_an_empty_line(self, tmp_path: Path) -> None:
        assert error_of(tmp_path, "filename,AU12\na.jpg,1\n\nb.jpg,x\n").startswith("labels.csv:4: ")

    def test_a_cell_too_many_names_the_line_and_shifts_nothing(self, tmp_path: Path) -> None:
        message = error_of(tmp_path, "AU6,AU12,filename\n1,2,a.jpg,\n1,2,3,b.jpg\n")
        assert message.startswith("labels.csv:3: expected 3 cells as in the header (line 1), got 4; remove the extra")

    @pytest.mark.parametrize("header", ["AU12,AU12,filename", "AU12,au12,filename", "AU12,AU 12,filename"])
    def test_an_au_twice(self, tmp_path: Path, header: str) -> None:
        first, second, _ = header.split(",")
        message = error_of(tmp_path, f"{header}\n1,2,a.jpg\n")
        assert message.startswith(f"labels.csv: expected one column for AU12, got '{first}' and '{second}'")

    def test_a_file_name_column_twice(self, tmp_path: Path) -> None:
        message = error_of(tmp_path, "AU12,filename,filename\n1,a.jpg,b.jpg\n")
        assert message.startswith("labels.csv: expected one column 'filename', got 2")


class TestWhatIsTakenForGranted:
    def test_letters_of_facs_are_intensities(self, tmp_path: Path) -> None:
        file = read_text(tmp_path, "AU4,AU12,filename\nA,3,a.jpg\n0,1,b.jpg\ne,,c.jpg\n,2,d.jpg\nC,0,e.jpg\n")
        np.testing.assert_array_equal(file.scores, [[1, 3], [0, 1], [5, NAN], [NAN, 2], [3, 0]])
        assert file.notes == ("letters A to E read as intensities 1 to 5: AU4",)

    def test_letters_beside_numbers_are_refused(self, tmp_path: Path) -> None:
        message = error_of(tmp_path, "AU4,filename\n2,a.jpg\nB,b.jpg\n")
        assert message.startswith("labels.csv:3: expected a number in column 'AU4', got 'B'; write the score")

    def test_columns_that_look_like_aus_and_are_not_read_are_named(self, tmp_path: Path) -> None:
        header = "filename,AU12,AU6_A,gt_AU4,Action Unit 9,17,AU44,beauty1,frame,3,AU01_r"
        file = read_text(tmp_path, f"{header}\na.jpg,1,1,1,1,1,1,1,1,1,1\n", prefer="occurrence")
        assert file.aus == ("AU12",)
        assert file.notes == ("columns not read as AUs: AU6_A, gt_AU4, Action Unit 9, 17, AU44, AU01_r",)

    @pytest.mark.parametrize("header", ["AU12_presence", "AU12_present", "AU12_occurrence", "AU012", "AU_12", "au12"])
    def test_names_that_say_what_they_are_are_read(self, tmp_path: Path, header: str) -> None:
        file = read_text(tmp_path, f"filename,{header}\na.jpg,1\n")
        assert (file.aus, file.notes) == (("AU12",), ())

    def test_without_any_au_the_columns_that_look_like_one_are_named_first(self, tmp_path: Path) -> None:
        message = error_of(tmp_path, "filename,session,gt_AU12\na.jpg,1,1\n")
        assert message.startswith(
            "labels.csv: expected AU columns such as AU12, got gt_AU12, filename, session; rename"
        )
