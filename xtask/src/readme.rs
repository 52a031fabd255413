//! `cargo xtask readme`: whether somebody with an empty Debian gets to an install page with a file of
//! their own by the blocks of the README alone, and how long it takes.
//!
//! The machine is a folder with nothing but Debian's smallest set of packages, a clone of the last
//! commit, and the Rust toolchain of this machine, read-only, in place of one that rustup would fetch.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::docs::page::{self, Kind, Page};
use crate::{shell, tools};

/// Debian's current stable release at the time of writing, and where it is found.
const DEBIAN: [&str; 2] = ["bookworm", "http://deb.debian.org/debian"];
const LIMIT: Duration = Duration::from_hours(1);
/// The certificates that this machine trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The port that the README names.
const PORT: u16 = 8787;

/// What makes the folder a machine: its own processes, this machine's devices, the toolchain.
const ENTER: &str = r#"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind -o ro "$2" "$1/opt/rust"
exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  SSL_CERT_FILE=/opt/certificates.crt bash -eu /opt/readme.sh
"#;

/// What the README promises at its end: the page offers the file, and the file is the one that was made.
const CHECK: &str = r#"
echo "== the install page"
curl -fsS http://127.0.0.1:8787/install/acme/stable | grep -F -q "$SHA"
curl -fsSL http://127.0.0.1:8787/latest/acme/stable/linux | cmp - acme-1.0.0-linux-x86_64.tar.gz
echo "http://127.0.0.1:8787/install/acme/stable offers the file, after $SECONDS s"
"#;

/// Makes the machine and follows the README on it.
pub fn run() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "an empty Debian is made as root");
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok();
    ensure!(is_free, "port {PORT}, which the README names, is taken on this machine");
    tools::ensure_debootstrap()?;
    let readme = page::all()?
        .into_iter()
        .find(|page| page.path == Path::new("README.md"));
    let start = Instant::now();
    let machine = machine(&script(&readme.context("there is no README.md")?)?)?;
    println!(
        "an empty Debian is in {}, after {} s",
        machine.display(),
        start.elapsed().as_secs()
    );
    let toolchain = PathBuf::from(shell::read(shell::command("rustc").args(["--print", "sysroot"]))?.trim());
    let mut enter = shell::command("unshare");
    enter.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-eu",
        "-c",
        ENTER,
        "sh",
    ]);
    shell::run(enter.arg(&machine).arg(toolchain), LIMIT)?;
    fs::remove_dir_all(&machine)?;
    Ok(())
}

/// The README's blocks, each under its line and the seconds since the first.
fn script(readme: &Page) -> Result<String> {
    let mut script = "cd /root/dist\n".to_owned();
    for block in readme
        .blocks
        .iter()
        .filter(|block| matches!(block.kind, Kind::Run | Kind::Install))
    {
        writeln!(
            script,
            "echo \"== README.md:{}, after $SECONDS s\"\n{}",
            block.line, block.text
        )?;
    }
    Ok(script + CHECK)
}

/// A folder with an empty Debian, a clone of this repository and a script.
fn machine(script: &str) -> Result<PathBuf> {
    let folder = shell::scratch().join("readme");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let [release, mirror] = DEBIAN;
    let mut bootstrap = shell::command("debootstrap");
    bootstrap.args(["--variant=minbase", release]).arg(&folder).arg(mirror);
    shell::read(&mut bootstrap)?;
    let clone = folder.join("root/dist");
    shell::read(
        shell::command("git")
            .args(["clone", "--quiet", "--no-hardlinks", "."])
            .arg(&clone),
    )?;
    fs::create_dir_all(folder.join("opt/rust"))?;
    fs::write(folder.join("opt/readme.sh"), script)?;
    fs::copy(CERTIFICATES, folder.join("opt/certificates.crt"))?;
    fs::copy("/etc/resolv.conf", folder.join("etc/resolv.conf"))?;
    Ok(folder)
}
