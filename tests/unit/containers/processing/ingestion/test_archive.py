import gzip
import tarfile
from pathlib import Path

import pytest

from tests.unit.containers.processing.bad_inputs.archives import written_by_tarfile
from tests.unit.containers.processing.ingest_job import Job

STANFORD = {
    "aclImdb/": b"",
    "aclImdb/README": b"Large Movie Review Dataset v1.0\n",
    "aclImdb/imdb.vocab": b"the\nand\n",
    "aclImdb/train/labeledBow.feat": b"9 0:9 1:1\n",
    "aclImdb/train/urls_pos.txt": b"http://www.imdb.com/title/tt0453418/usercomments\n",
    "aclImdb/train/neg/": b"",
    "aclImdb/train/neg/0_3.txt": b"A story of a man",
    "aclImdb/train/pos/0_9.txt": "Bromwell High … 悪い".encode(),
    "aclImdb/train/unsup/0_0.txt": b"I admit",
    "aclImdb/test/neg/0_2.txt": b"Once again\nMr. Costner",
    "aclImdb/test/pos/12499_10.txt": b"I went and saw" * 100,
}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_the_labelled_reviews_of_stanfords_archive(job: Job, form: int) -> None:
    job.put("raw/aclImdb_v1.tar.gz", gzip.compress(written_by_tarfile(STANFORD, form)))
    job.run()
    assert job.account("raw/aclImdb_v1.tar.gz")["rows"] == 4
    assert [
        (row["record_id"], row["label"], row["split"], row["text"][:14]) for row in job.store.records()
    ] == [
        ("test/neg/0_2", "neg", "test", "Once again Mr."),
        ("test/pos/12499_10", "pos", "test", "I went and saw"),
        ("train/neg/0_3", "neg", "train", "A story of a m"),
        ("train/pos/0_9", "pos", "train", "Bromwell High "),
    ]


def test_nothing_is_unpacked(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job.put("raw/a.tar", written_by_tarfile(STANFORD))
    before = sorted(tmp_path.rglob("*"))
    job.run()
    after = {path.name for path in set(tmp_path.rglob("*")) - set(before)}
    assert after == {"plan.json", "output", "report", "algo-1.json"}
