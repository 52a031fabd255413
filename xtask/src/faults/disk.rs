//! A disk that is full.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::store::{distd, failed_start};
use super::{admin, artifacts, digest, expect, expect_exit, expect_whole, publish, random_bytes, upload};
use crate::http::Client;
use crate::server::{Binaries, Launch};
use crate::shell;

const DISK_BYTES: u64 = 6 << 20;
/// The unit in which a file system in memory gives space.
const PAGE_BYTES: usize = 4096;
/// The server may remember for a moment whether it can write.
const RECOVERY: Duration = Duration::from_secs(5);

/// A file system in memory, of a few MiB. It is unmounted when dropped.
pub struct SmallDisk {
    pub folder: tempfile::TempDir,
}

impl SmallDisk {
    pub fn mount() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={DISK_BYTES}");
        let mut mount = shell::command("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        shell::read(&mut mount).context("no small disk can be mounted here")?;
        Ok(Self { folder })
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    /// Takes all space but so many pages.
    pub fn fill(&self, free_pages: usize) -> Result<()> {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.filler())?;
        let page = [1; PAGE_BYTES];
        while filler.write_all(&page).is_ok() {}
        let page_bytes = PAGE_BYTES as u64;
        let length = filler.metadata()?.len().next_multiple_of(page_bytes);
        filler.set_len(length.saturating_sub(free_pages as u64 * page_bytes))?;
        Ok(())
    }

    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    /// Lets nobody write any more; whoever has a file open for that must have closed it.
    fn make_read_only(&self) -> Result<()> {
        shell::read(
            shell::command("mount")
                .args(["-o", "remount,ro"])
                .arg(self.folder.path()),
        )
        .map(drop)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever holds it has failed the case already.
        let _ = shell::read(shell::command("umount").arg(self.folder.path()));
    }
}

/// Writes are refused with 507 while reads go on, nothing is there by half, and space is all that
/// it takes to recover.
pub fn full(binaries: &Binaries) -> Result<()> {
    let disk = SmallDisk::mount()?;
    let server = Launch::new(binaries, disk.folder.path().join("data")).start()?;
    let client = admin(binaries, &server)?;
    let first = random_bytes(1 << 20);
    upload(&client, &first)?.expect_ok()?;
    publish(&client, "1.0.0", &digest(&first))?.expect_ok()?;

    let mut refused = 0;
    // With each page more, another write is the one that fails.
    for free_pages in 0..24 {
        disk.fill(free_pages)?;
        refused += write_something(&client, free_pages).with_context(|| format!("with {free_pages} pages free"))?;
        check_reads(&client, &first)?;
        disk.free()?;
    }
    ensure!(refused >= 10, "only {refused} writes met the full disk");

    disk.fill(0)?;
    expect(&upload(&client, &random_bytes(1 << 20))?, 507, "store.full")?;
    check_reads(&client, &first)?;
    wait_for_readiness(&client, 503)?;
    disk.free()?;
    wait_for_readiness(&client, 200)?;
    let last = random_bytes(1 << 20);
    upload(&client, &last)?.expect_ok()?;
    publish(&client, "2.0.0", &digest(&last))?.expect_ok()?;
    ensure!(server.stop()?.success(), "the server did not stop as it should");
    expect_whole(binaries, &disk.folder.path().join("data"))
}

/// Nothing starts on a disk that cannot be written, and what is said tells why.
pub fn read_only(binaries: &Binaries) -> Result<()> {
    let disk = SmallDisk::mount()?;
    let data = disk.folder.path().join("data");
    let (exit, made) = binaries.local(&data, &["app", "create", "first"])?;
    ensure!(exit == 0, "app create: exit {exit}: {made}");
    disk.make_read_only()?;
    expect_exit(&binaries.local(&data, &["app", "list"])?, 1, "store.read_only").context("dist")?;
    let said = failed_start(distd(binaries, &data), 1)?;
    ensure!(said.contains("store.read_only"), "distd said {said:?}");
    Ok(())
}

/// Uploads and publishes; each either succeeds or is refused with 507, and what is refused is not
/// there. Gives how many were refused.
fn write_something(client: &Client, number: usize) -> Result<u32> {
    let bytes = random_bytes(3 * PAGE_BYTES);
    let uploaded = upload(client, &bytes)?;
    if !uploaded.is_ok() {
        expect(&uploaded, 507, "store.full").context("upload")?;
        return Ok(1);
    }
    let version = format!("1.1.{number}");
    let published = publish(client, &version, &digest(&bytes))?;
    let found = artifacts(client, &version)?;
    if published.is_ok() {
        ensure!(
            found == Some(vec![digest(&bytes)]),
            "{version} was acknowledged and has {found:?}"
        );
        return Ok(0);
    }
    expect(&published, 507, "store.full").context("publish")?;
    ensure!(found.is_none(), "{version} was refused and has {found:?}");
    Ok(1)
}

fn check_reads(client: &Client, bytes: &[u8]) -> Result<()> {
    client.get("/healthz")?.expect_ok().context("/healthz")?;
    client.get("/api/apps/faults")?.expect_ok()?;
    let download = client.get(&format!("/download/{}", digest(bytes)))?.expect_ok()?;
    ensure!(download.body == bytes, "the download differs");
    Ok(())
}

fn wait_for_readiness(client: &Client, status: u16) -> Result<()> {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let answer = client.get("/readyz")?;
        if answer.status == status {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "/readyz still answers {}", answer.status);
        sleep(Duration::from_millis(100));
    }
}
