"""Extracting packages: once, whole, and never outside their folder."""

import asyncio
import io
import os
import stat
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from cumulet.runtimes import packages
from cumulet.runtimes.model import FunctionSpec
from cumulet.runtimes.packages import Packages, UnusablePackage


def archive(folder, *entries, name="p.zip"):
    path = folder / name
    with zipfile.ZipFile(path, "w") as opened:
        for entry, data, mode in entries:
            info = zipfile.ZipInfo(entry)
            info.external_attr = mode << 16
            opened.writestr(info, data)
    return path


@pytest.fixture
def made(tmp_path):
    return Packages(tmp_path / "functions")


def ensure(made, path, sha="sha"):
    return asyncio.run(made.ensure(sha, path))


def test_files_folders_and_permissions_are_kept_and_readable_by_all(made, tmp_path):
    path = archive(tmp_path, ("a/b.py", "x", 0o600), ("run", "#!", 0o755), ("plain", "y", 0), ("c/", "", 0o755))
    folder = ensure(made, path)
    assert (folder / "a/b.py").read_text() == "x"
    assert stat.S_IMODE((folder / "a/b.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((folder / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "plain").stat().st_mode) == 0o644
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert (folder / "c").is_dir()


def test_a_package_whose_zip_is_removed_before_a_thread_has_time_is_extracted(made, tmp_path):
    """A function is changed or deleted while an invocation of what it was begins, on a busy machine."""
    code, layer = archive(tmp_path, ("a.py", "x", 0)), archive(tmp_path, ("b.py", "y", 0), name="layer.zip")
    spec = FunctionSpec("arn", "f", "1", "python3.12", "a.h", tmp_path)

    async def main():
        asyncio.get_running_loop().set_default_executor(busy := ThreadPoolExecutor(1))
        go_on = threading.Event()
        busy.submit(go_on.wait, 60)
        preparing = asyncio.ensure_future(made.prepare(spec, ("code", code), [("layer", layer)]))
        await asyncio.sleep(0)
        code.unlink()
        layer.unlink()
        go_on.set()
        return await preparing

    ready = asyncio.run(main())
    assert (ready.code_dir / "a.py").read_text() + (ready.layer_dirs[0] / "b.py").read_text() == "xy"


def test_a_package_is_extracted_once_also_when_many_ask_at_once(made, tmp_path, monkeypatch):
    path = archive(tmp_path, ("a.py", "x", 0o644))
    calls = []
    plain = packages.extract

    def counted(*args):
        calls.append(args)
        return plain(*args)

    monkeypatch.setattr(packages, "extract", counted)

    async def many():
        return await asyncio.gather(*(made.ensure("sha", path) for _ in range(20)))

    assert len(set(asyncio.run(many()))) == 1
    assert len(calls) == 1
    path.unlink()
    assert ensure(made, path).is_dir()


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "a/../../out.py", "..\\out.py", "a/b/../../../out.py"])
def test_a_file_outside_the_package_is_refused_and_nothing_is_left(made, tmp_path, name):
    path = archive(tmp_path, ("fine.py", "x", 0o644), (name, "x", 0o644))
    with pytest.raises(UnusablePackage, match="outside itself"):
        ensure(made, path)
    assert not list(tmp_path.rglob("out.py"))
    assert list((tmp_path / "functions").iterdir()) == []


def test_links_stay_inside_and_nothing_is_written_through_them(made, tmp_path):
    folder = ensure(
        made, archive(tmp_path, ("lib/real.so", "x", 0o644), ("lib/link.so", "real.so", stat.S_IFLNK | 0o777))
    )
    assert (folder / "lib/link.so").read_text() == "x"
    assert os.readlink(folder / "lib/link.so") == "real.so"
    for number, destination in enumerate(("/etc/passwd", "../../secret", "..")):
        path = archive(tmp_path, ("lib/link", destination, stat.S_IFLNK | 0o777), name=f"{number}.zip")
        with pytest.raises(UnusablePackage, match="outside itself"):
            ensure(made, path, f"sha{number}")
    through = archive(
        tmp_path, ("x", "lib", stat.S_IFLNK | 0o777), ("x/passwd", "x", 0o644), ("lib/a", "a", 0o644), name="t.zip"
    )
    with pytest.raises(UnusablePackage):
        ensure(made, through, "through")


def test_a_package_that_grows_over_the_limit_is_stopped_while_it_is_written(made, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "UNZIPPED_LIMIT_BYTES", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(2_000_000))
    with pytest.raises(UnusablePackage, match="larger than"):
        ensure(made, path)
    assert list((tmp_path / "functions").iterdir()) == []


def test_a_broken_archive_is_refused(made, tmp_path):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as opened:
        opened.writestr("a.py", "x" * 1000)
    path = tmp_path / "p.zip"
    path.write_bytes(sink.getvalue().replace(b"xxx", b"yyy", 1))  # the checksum no longer fits
    with pytest.raises(UnusablePackage, match="unzip"):
        ensure(made, path)


def test_a_start_removes_half_extracted_and_long_unused_packages(tmp_path):
    folder = tmp_path / "functions"
    for name in (".extracting-x", "old", "new"):
        (folder / name).mkdir(parents=True)
    os.utime(folder / "old", (0, 0))
    Packages(folder)
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_a_specification_gets_the_folders_of_its_code_and_layers(made, tmp_path):
    code, layer = archive(tmp_path, ("a", "x", 0o644)), archive(tmp_path, ("b", "x", 0o644), name="l.zip")
    spec = FunctionSpec("arn", "f", "1", "python3.12", "a.b", tmp_path)

    async def twice():
        first = await made.prepare(spec, ("code", code), [("layer", layer)])
        return first, await made.prepare(spec, ("code", code), [("layer", layer)])

    first, second = asyncio.run(twice())
    assert first is second
    assert ((first.code_dir / "a").exists(), (first.layer_dirs[0] / "b").exists()) == (True, True)
    assert first.function_name == "f"
