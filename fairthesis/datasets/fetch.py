"""Downloading what may be downloaded without an account, with its checksum."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from fairthesis.errors import InputError, unknown

# file name -> (address, sha256 or None where the source publishes none); only sources that ask for
# neither account nor application. The addresses are as published and may have moved since: a
# failure names the address. The others say under "Access" how to get them.
SOURCES: dict[str, dict[str, tuple[str, str | None]]] = {
    "fitzpatrick17k": {
        "fitzpatrick17k.csv": (
            "https://raw.githubusercontent.com/mattgroh/fitzpatrick17k/main/fitzpatrick17k.csv",
            None,
        ),
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


def fetch(
    name: str,
    out: str | Path,
    *,
    sources: dict[str, dict[str, tuple[str, str | None]]] | None = None,
    progress: bool = False,
) -> list[Path]:
    """Download the files of a data set into ``out`` and unpack its archives; gives the files.

    A file that is there with the right checksum is not fetched again; one without a published
    checksum is kept as it is, and its SHA-256 is written beside it (``<name>.sha256``), so that a
    later call notices a change. A download that breaks off leaves no file.
    """
    import pooch

    known = SOURCES if sources is None else sources
    if name not in known:
        hint = "The other data sets need an account or an application: see "
        raise unknown("data set to fetch", name, known, f"{hint}`fairthesis datasets describe`.")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for file, (address, published) in known[name].items():
        note = folder / f"{file}.sha256"
        expected = published or (note.read_text().strip() if note.is_file() else None)
        try:
            path = Path(
                pooch.retrieve(
                    address,
                    known_hash=f"sha256:{expected}" if expected else None,
                    fname=file,
                    path=folder,
                    progressbar=progress,
                )
            )
        except ValueError as error:  # pooch: the checksum differs
            raise InputError(
                f"{address} is not the file that was expected (SHA-256 {expected}): {error}"
            ) from error
        except OSError as error:  # requests' errors are OSErrors as well
            raise InputError(f"Cannot download {address}: {error}") from error
        if published is None:
            note.write_text(pooch.file_hash(str(path)) + "\n")
        files.append(path)
        if path.suffix == ".zip" or path.name.endswith((".tar.gz", ".tgz")):
            _unpack(path, folder)
    return files


def _unpack(path: Path, folder: Path) -> None:
    """Unpack an archive once; members that would leave the folder are refused."""
    done = folder / f"{path.name}.unpacked"
    if done.is_file():
        return
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                parts = PurePosixPath(name.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts:
                    raise InputError(f"{path.name} holds {name!r}, which leaves the folder.")
            archive.extractall(folder)
    else:
        with tarfile.open(path) as archive:
            try:
                archive.extractall(folder, filter="data")
            except tarfile.TarError as error:
                raise InputError(f"{path.name} cannot be unpacked safely: {error}") from error
    done.touch()
