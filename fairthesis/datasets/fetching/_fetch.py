"""Downloading what may be downloaded without an account, with its checksum."""

from __future__ import annotations

import os
from pathlib import Path

from fairthesis.datasets.fetching._file_kinds import mismatch
from fairthesis.datasets.fetching._unpacking import ENDINGS, BrokenArchiveError, unpack
from fairthesis.errors import InputError, unknown
from fairthesis.storage import write_text

_NIH = (
    *("vfk49d74nhbxq3nqjg0900w5nvkorp5c", "i28rlmbvmfjbl8p2n3ril0pptcmcu9d1"),
    *("f1t00wrtdk94satdfb9olcolqx20z2jp", "0aowwzs5lhjrceb3qp67ahp0rd1l1etg"),
    *("v5e3goj22zr6h8tzualxfsqlqaygfbsn", "asi7ikud9jwnkrnkj99jnpfkjdes7l6l"),
    *("jn1b4mw4n6lnh74ovmcjb8y48h8xj07n", "tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j"),
    *("upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj", "l6nilvfa9cg3s28tqv1qc1olm3gnz54p"),
    *("hhq8fkdgvcari67vfhs7ppg2w6ni4jze", "ioqwiy20ihqwyr8pf4c24eazhh281pbu"),
)
_DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile"
#: Data set -> file -> (address, SHA-256 or None where the source publishes none).
#: Only sources that ask for neither account nor application; the others say under "Access" how to
#: get them. The addresses are as published and may have moved since: a failure names the address.
SOURCES: dict[str, dict[str, tuple[str, str | None]]] = {
    "fitzpatrick17k": {
        "fitzpatrick17k.csv": (
            "https://raw.githubusercontent.com/mattgroh/fitzpatrick17k/main/fitzpatrick17k.csv",
            None,
        ),
    },
    "ham10000": {
        "HAM10000_metadata.csv": (f"{_DATAVERSE}/3172582", None),
        "HAM10000_images_part_1.zip": (f"{_DATAVERSE}/3172585", None),
        "HAM10000_images_part_2.zip": (f"{_DATAVERSE}/3172584", None),
    },
    "pad-ufes-20": {
        "zr7vgbcyr2-1.zip": (
            "https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/zr7vgbcyr2-1.zip",
            None,
        ),
    },
    "nih-cxr14": {
        f"images_{number:03d}.tar.gz": (f"https://nihcc.box.com/shared/static/{key}.gz", None)
        for number, key in enumerate(_NIH, 1)
    },
    "isic2019": {
        name: (f"https://isic-challenge-data.s3.amazonaws.com/2019/{name}", None)
        for name in (
            "ISIC_2019_Training_Metadata.csv",
            "ISIC_2019_Training_GroundTruth.csv",
            "ISIC_2019_Training_Input.zip",
        )
    },
}

#: Data set -> what is left to do by hand after a download.
THEN = {
    "nih-cxr14": "Lay Data_Entry_2017_v2020.csv (and train_val_list.txt and test_list.txt, for the "
    "official split) from https://nihcc.app.box.com/v/ChestXray-NIHCC beside images/.",
    "fitzpatrick17k": "The images are at the addresses in the table: save each as "
    "images/<md5hash>.jpg.",
}


def download_steps(name: str) -> str:
    """How to get a data set that cannot be fetched: its access, its licence, where files go.

    Args:
        name: a data set that is read from files and is not in ``SOURCES``.

    >>> print(download_steps("ddi").splitlines()[3])
    2. Lay it in one folder with ddi_metadata.csv and the images, unpacked as it came.
    """
    from fairthesis import datasets

    text = " ".join(datasets.about(name).split())
    access = text[text.index("Access:") : text.index(" Citation:")]
    try:
        datasets.load(name)
    except InputError as error:
        layout = str(error).partition("that holds ")[2].rstrip(".")
    return (
        f"{name} is not fetched by this command.\n\n"
        f"1. {access}\n"
        f"2. Lay it in one folder with {layout}, unpacked as it came.\n"
        f"3. fairthesis datasets describe {name} --data-root FOLDER\n"
    )


def fetch(
    name: str,
    out: str | Path,
    *,
    sources: dict[str, dict[str, tuple[str, str | None]]] | None = None,
    progress: bool = False,
) -> list[Path]:
    """Download the files of a data set into a folder and unpack its archives.

    A file that is there with the right checksum is not fetched again; one without a published
    checksum is kept as it is, and its SHA-256 is written beside it (``<name>.sha256``), so that a
    later call notices a change. A download that breaks off leaves ``.<name>.part`` and goes on from
    there at the next call, where the server can and still has the same file. What is not what its
    name says (a sign-in page, a damaged archive) is refused and not kept: the next call fetches it
    again.

    Args:
        name: one of ``sources``.
        out: the folder; it is made where it is missing.
        sources: as ``SOURCES``, which is the default.
        progress: show a progress bar.

    Returns:
        The downloaded files, archives included.

    Raises:
        InputError: for a data set that is not among the sources, a download that fails, a file that
            is not what was expected, and an archive that holds what it should not.

    >>> import hashlib, tempfile
    >>> table = b"image,label"
    >>> address = "https://example.org/labels.csv"
    >>> sources = {"mine": {"labels.csv": (address, hashlib.sha256(table).hexdigest())}}
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = (Path(name) / "labels.csv").write_bytes(table)
    ...     [file.name for file in fetch("mine", name, sources=sources)]  # it is there: no download
    ['labels.csv']
    """
    import pooch

    known = SOURCES if sources is None else sources
    if name not in known:
        hint = "The other data sets need an account or an application: see "
        raise unknown("data set to fetch", name, known, f"{hint}`fairthesis datasets describe`.")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    kept = frozenset(
        f"{file}{ending}".casefold()
        for file in known[name]
        for ending in ("", ".sha256", ".unpacked")
    )
    files: list[Path] = []
    for file, (address, published) in known[name].items():
        note = folder / f"{file}.sha256"
        _drop_other_kind(folder / file, note)
        there = (folder / file).is_file()
        laid = there and not note.is_file()  # by the user
        if not there:  # another archive may come than the one that was unpacked
            (folder / f"{file}.unpacked").unlink(missing_ok=True)
        expected = published or (
            note.read_text(encoding="utf-8").strip() if note.is_file() else None
        )
        try:
            path = Path(
                pooch.retrieve(
                    address,
                    known_hash=f"sha256:{expected}" if expected else None,
                    fname=file,
                    path=folder,
                    downloader=_Resuming(folder / f".{file}.part", file, progress),
                )
            )
        except InputError:
            raise
        except ValueError as error:  # pooch: the checksum differs
            raise InputError(
                f"{address} is not the file that was expected (SHA-256 {expected}): {error}"
            ) from error
        except OSError as error:  # requests' errors are OSErrors as well
            raise InputError(f"Cannot download {address}: {error}") from error
        if published is None:
            write_text(pooch.file_hash(str(path)) + "\n", note)
        files.append(path)
        if path.name.lower().endswith(ENDINGS):
            try:
                unpack(path, folder, kept)
            except BrokenArchiveError as error:
                if published is not None:
                    raise
                note.unlink()
                if laid:
                    raise
                path.unlink()
                raise InputError(
                    f"{error}. The download is removed: give the command again to fetch it anew."
                ) from error
    return files


def _drop_other_kind(path: Path, note: Path) -> None:
    """Remove a download that is not what its name says; a file that was laid there is refused."""
    wrong = mismatch(path, path.name) if path.is_file() else None
    if wrong and not note.is_file():
        raise InputError(f"{str(path)!r} is {wrong}. Remove it, and give the command again.")
    if wrong:
        path.unlink()
        note.unlink()


class _Resuming:
    """pooch's downloader for one file, that goes on where an earlier call broke off."""

    def __init__(self, part: Path, name: str, progress: bool) -> None:
        self.part, self.tag, self.name, self.progress = (
            part,
            part.with_suffix(".tag"),
            name,
            progress,
        )

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Fetch ``url``; ``output_file`` appears when it is whole."""
        import requests
        from tqdm import tqdm

        # The mark of the version (If-Range) keeps halves of two versions from being joined.
        headers = {"Accept-Encoding": "identity"}  # so that bytes on disk are bytes of the file
        have = self.part.stat().st_size if self.part.is_file() else 0
        if have and self.tag.is_file():
            headers |= {"Range": f"bytes={have}-", "If-Range": self.tag.read_text(encoding="utf-8")}
        with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
            if answer.status_code == 416:  # nothing is left to send: the part may be too long
                self.part.unlink()
                return self(url, output_file, pooch)
            answer.raise_for_status()
            goes_on = answer.status_code == 206
            mark = answer.headers.get("ETag", "")
            mark = answer.headers.get("Last-Modified", "") if mark[:1] != '"' else mark
            self.tag.unlink(missing_ok=True)
            if mark:
                self.tag.write_text(mark, encoding="utf-8")
            size = int(answer.headers.get("Content-Length", 0)) + have * goes_on
            bar = tqdm(
                desc=self.part.name[1:-5],
                initial=have * goes_on,
                total=size or None,
                unit="B",
                unit_scale=True,
                disable=not self.progress,
            )
            with bar, self.part.open("ab" if goes_on else "wb") as to:
                for chunk in answer.iter_content(1 << 20):
                    bar.update(to.write(chunk))
                to.flush()
                os.fsync(to.fileno())  # it gets its name after its last byte is on the disk
        got = self.part.stat().st_size
        if size and got < size:
            raise OSError(f"{got} of {size} bytes came; give the command again to go on")
        wrong = mismatch(self.part, self.name, answer.headers.get("Content-Type", ""))
        if wrong:
            self.part.unlink()
            self.tag.unlink(missing_ok=True)
            raise InputError(
                f"{url} is {wrong}. It is not kept: open the address in a browser, or give the "
                "command again later."
            )
        self.part.replace(output_file)
        self.tag.unlink(missing_ok=True)
