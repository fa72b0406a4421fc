"""Fills the corpus with small real files: the fixtures, and those of STATEDICT_CORPUS if it is set."""

import hashlib
import os
import pathlib
import re
import zipfile

HERE = pathlib.Path(__file__).parent
LARGEST = 16 << 10


def main():
    folders = [HERE.parent / "fixtures"]
    folders += [pathlib.Path(os.environ["STATEDICT_CORPUS"])] if "STATEDICT_CORPUS" in os.environ else []
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    rules()
    for path in paths:
        if path.stat().st_size <= LARGEST:
            seed(path.read_bytes())
            members(path)


def rules():
    """The rules that the tests read, right ones and wrong ones."""
    for tests in ["tensor_rules.rs", "spelling.rs"]:
        text = (HERE.parents[1] / "core" / "tests" / tests).read_text()
        for literal in re.findall(r'"((?:[^"\\]|\\.)* -> (?:[^"\\]|\\.)*)"', text):
            write("rules", literal.replace("\\\\", "\\").encode())


def seed(data):
    """A file is a seed for the targets that read its kind."""
    write("rename", data)
    write("check", data)
    write("archive", data)
    if data[8:9] == b"{":
        write("safetensors", data)
    if data[:4] in (b"PK\3\4", b"PK\5\6"):
        write("zip", data)
    if data[:1] == b"\x80":
        pickle(data)


def members(path):
    """The pickles and arrays in an archive are seeds of their own."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    pickle(archive.read(name))
                if name.endswith(".npy"):
                    write("npy", archive.read(name))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError):
        pass  # A hostile archive is a seed as it is.
    except zipfile.zlib.error:
        pass


def pickle(data):
    write("pickle", data)
    write("machine", data)
    write("opcodes", data)


def write(target, data):
    if len(data) <= LARGEST:
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


if __name__ == "__main__":
    main()
