//! Programs that the tasks need and that may not be there.
//!
//! On Debian and its kin, as root, what is missing is installed and said; elsewhere it is named.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell;
use crate::ship::Platform;

const INSTALL_LIMIT: Duration = Duration::from_mins(15);

/// Debian asks this program whether a service may start, and takes 101 for no: `invoke-rc.d(8)`.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// What tells that something is there, as a shell command, and the Debian package that has it.
type Need = (&'static str, &'static str);

const NEEDS: &[Need] = &[
    ("command -v cc", "gcc"),
    ("command -v strace", "strace"),
    ("command -v sqlite3", "sqlite3"),
    ("command -v setpriv", "util-linux"),
    ("command -v prlimit", "util-linux"),
    ("command -v mount", "mount"),
    ("command -v python3", "python3"),
    // Debian ships Python without what makes a virtual environment.
    ("python3 -c 'import ensurepip, venv'", "python3-venv"),
    ("command -v node", "nodejs"),
    ("command -v npm", "npm"),
    // They read the completions and the manual.
    ("command -v zsh", "zsh"),
    ("command -v fish", "fish"),
    ("command -v groff", "groff-base"),
];

/// What builds images and runs them. Podman's own recommendations leave out what runs without systemd.
const CONTAINERS: &[Need] = &[
    ("command -v podman", "podman"),
    ("command -v buildah", "buildah"),
    ("command -v runc", "runc"),
    ("ls /usr/lib/podman/netavark", "netavark"),
    ("ls /usr/lib/podman/aardvark-dns", "aardvark-dns"),
    ("command -v iptables", "iptables"),
    ("ls /etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// What the settings in `deploy/` are for, and what asks through a proxy.
const DEPLOYMENT: &[Need] = &[
    ("command -v systemd-analyze", "systemd"),
    ("command -v caddy", "caddy"),
    ("command -v nginx", "nginx-light"),
    ("command -v openssl", "openssl"),
    ("command -v curl", "curl"),
];

/// What somebody has at hand who follows the documentation.
const SESSIONS: &[Need] = &[
    ("command -v cc", "gcc"),
    ("command -v curl", "curl"),
    ("command -v ip", "iproute2"),
    ("command -v python3", "python3"),
    ("command -v sqlite3", "sqlite3"),
    ("command -v unshare", "util-linux"),
];

/// What looks at the pages.
const BROWSER: &[Need] = &[
    ("command -v chromium", "chromium"),
    (
        "ls /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
        "fonts-dejavu-core",
    ),
];

/// What the CI integrations and the install script run with, and what reads them first.
const CI: &[Need] = &[
    ("command -v busybox", "busybox"),
    ("command -v curl", "curl"),
    ("command -v dash", "dash"),
    ("command -v ruby", "ruby"),
    ("command -v shellcheck", "shellcheck"),
    ("command -v strip", "binutils"),
    ("command -v wget", "wget"),
];

/// What the performance bar's script runs beside ours.
const PEERS: &[Need] = &[
    ("command -v docker-registry", "docker-registry"),
    ("command -v nginx", "nginx-light"),
    ("command -v wrk", "wrk"),
    ("command -v jq", "jq"),
    ("ls /usr/lib/postgresql/*/bin/initdb", "postgresql"),
    ("command -v envsubst", "gettext-base"),
    ("command -v curl", "curl"),
    ("command -v openssl", "openssl"),
    ("test -e /usr/include/sqlite3.h", "libsqlite3-dev"),
    ("test -e /usr/include/openssl/evp.h", "libssl-dev"),
];

/// What says the same of artifacts as `dist inspect`, from other hands.
const ORACLES: &[Need] = &[
    ("command -v aapt", "aapt"),
    ("command -v apksigner", "apksigner"),
    ("command -v ar", "binutils"),
    ("command -v dpkg-deb", "dpkg"),
    ("command -v file", "file"),
    ("command -v npm", "npm"),
    ("command -v openssl", "openssl"),
    ("command -v osslsigncode", "osslsigncode"),
    ("python3 -c 'import ensurepip, venv'", "python3-venv"),
    ("command -v unzip", "unzip"),
    ("command -v zip", "zip"),
];

/// Makes sure that everything that `cargo xtask test` runs is there.
pub fn ensure_all() -> Result<()> {
    ensure(NEEDS)?;
    for (crate_name, subcommand) in [
        ("cargo-nextest", "nextest"),
        ("cargo-deny", "deny"),
        ("cargo-machete", "machete"),
    ] {
        ensure_cargo_tool(crate_name, subcommand)?;
    }
    typos()?;
    mdbook()?;
    Ok(())
}

/// Makes sure that a browser is there, and letters for it to draw.
pub fn ensure_browser() -> Result<()> {
    ensure(BROWSER)
}

/// Makes sure that the commands of the documentation can be run.
pub fn ensure_sessions() -> Result<()> {
    ensure(SESSIONS)
}

/// Makes sure that an empty Debian can be made.
pub fn ensure_debootstrap() -> Result<()> {
    ensure(&[("command -v debootstrap", "debootstrap"), ("command -v git", "git")])
}

/// Makes sure that the CI integrations can be run.
pub fn ensure_ci() -> Result<()> {
    ensure(CI)
}

/// Makes sure that the peers of the benchmarks are there.
pub fn ensure_peers() -> Result<()> {
    ensure(PEERS)
}

/// Makes sure that what artifacts are held against is there.
pub fn ensure_oracles() -> Result<()> {
    ensure(ORACLES)
}

/// Makes sure that images can be built, and be run as far as the machine lets them.
pub fn ensure_containers() -> Result<()> {
    ensure(CONTAINERS)
}

/// Makes sure that what the settings in `deploy/` are for is there.
pub fn ensure_deployment() -> Result<()> {
    ensure(DEPLOYMENT)
}

/// Makes sure that static programs can be built for a platform, and be run.
pub fn ensure_static_builds(platform: &Platform) -> Result<()> {
    ensure(match platform.arch {
        "aarch64" => &[
            ("command -v aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            ("ls /usr/aarch64-linux-gnu/lib/libc.a", "libc6-dev-arm64-cross"),
            ("command -v qemu-aarch64-static", "qemu-user-static"),
        ],
        _ => &[
            ("command -v x86_64-linux-gnu-gcc", "gcc"),
            ("ls /usr/lib/*/libc.a", "libc6-dev"),
        ],
    })?;
    let libraries = shell::read(shell::command("rustc").args(["--print=target-libdir", "--target", platform.target]))?;
    if !Path::new(libraries.trim()).exists() {
        println!("installing Rust's standard library for {}", platform.target);
        shell::run(
            shell::command("rustup").args(["target", "add", platform.target]),
            INSTALL_LIMIT,
        )?;
    }
    Ok(())
}

/// Makes sure that the kernel hands programs of a platform to their emulator, in containers too.
pub fn ensure_emulation(platform: &Platform) -> Result<()> {
    let name = format!("qemu-{}", platform.arch);
    let kernel = "/proc/sys/fs/binfmt_misc";
    if platform.is_here() || Path::new(kernel).join(&name).exists() {
        return Ok(());
    }
    println!(
        "telling the kernel to run programs of {} with QEMU, until it boots again",
        platform.arch
    );
    let mounted = format!("test -e {kernel}/register || mount -t binfmt_misc binfmt_misc {kernel}");
    let script = format!("({mounted}) && cat /usr/lib/binfmt.d/{name}.conf > {kernel}/register");
    shell::run(shell::command("sh").args(["-c", &script]), INSTALL_LIMIT)
}

fn ensure(needs: &[Need]) -> Result<()> {
    let mut missing: Vec<&str> = needs
        .iter()
        .filter(|(test, _)| !holds(test))
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if !(rustix::process::geteuid().is_root() && holds("command -v apt-get")) {
        bail!(
            "install these first (named as Debian's packages): {}",
            missing.join(" ")
        );
    }
    println!("installing Debian's packages {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = shell::command("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg("-qq")
            .args(arguments);
        shell::run(&mut command, INSTALL_LIMIT)
    };
    apt(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(missing);
    without_services(|| apt(&install))
}

/// Keeps what is installed from starting services here, as a web server would.
fn without_services(install: impl FnOnce() -> Result<()>) -> Result<()> {
    // Whoever has a policy has decided.
    let policy = Path::new(POLICY);
    if policy.exists() {
        return install();
    }
    std::fs::write(policy, "#!/bin/sh\nexit 101\n")?;
    std::fs::set_permissions(policy, std::fs::Permissions::from_mode(0o755))?;
    let installed = install();
    std::fs::remove_file(policy)?;
    installed
}

fn holds(test: &str) -> bool {
    shell::read(shell::command("sh").args(["-c", test])).is_ok()
}

fn ensure_cargo_tool(crate_name: &str, subcommand: &str) -> Result<()> {
    if shell::read(&mut shell::cargo([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    println!("installing {crate_name} with cargo");
    // Unoptimised it is built in a third of the time and still fast enough.
    let mut install = shell::cargo(["install", "--quiet", "--locked", "--debug", crate_name]);
    shell::run(&mut install, INSTALL_LIMIT).with_context(|| format!("{crate_name} is needed and cannot be installed"))
}

/// What makes a book of the documentation, without its own server.
pub fn mdbook() -> Result<PathBuf> {
    const VERSION: &str = "0.5.4";
    let folder = shell::scratch().join("mdbook");
    let program = folder.join("bin/mdbook");
    let there = shell::read(shell::command(&program).arg("--version")).unwrap_or_default();
    if there.trim() != format!("mdbook v{VERSION}") {
        println!("installing mdbook {VERSION} with cargo");
        let mut install = shell::cargo(["install", "--quiet", "--locked", "--debug", "mdbook"]);
        install.args([
            "--version",
            VERSION,
            "--no-default-features",
            "--features=search",
            "--root",
        ]);
        shell::run(install.arg(&folder), INSTALL_LIMIT)?;
    }
    Ok(program)
}

/// The checker of Prometheus's rules and metrics. Its Debian package is only unpacked: installed it
/// would begin to watch this machine.
pub fn promtool() -> Result<PathBuf> {
    if holds("command -v promtool") {
        return Ok("promtool".into());
    }
    let folder = shell::scratch().join("prometheus");
    let promtool = folder.join("usr/bin/promtool");
    if !promtool.exists() {
        println!("unpacking Debian's package prometheus");
        std::fs::create_dir_all(&folder)?;
        let script = "apt-get -qq update || true; apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb";
        let mut unpack = shell::command("sh");
        shell::run(unpack.args(["-c", script]).current_dir(&folder), INSTALL_LIMIT)
            .context("promtool is needed: put it on the PATH, or run this on Debian")?;
    }
    Ok(promtool)
}

/// The spelling checker, from its Python package, which is a prebuilt program.
pub fn typos() -> Result<PathBuf> {
    python_packages(&["typos==1.52.0"])?;
    Ok(venv().join("bin/typos"))
}

/// A Python with these packages, each `NAME==VERSION`.
pub fn python_packages(packages: &[&str]) -> Result<PathBuf> {
    let python = venv().join("bin/python3");
    if !python.exists() {
        shell::read(shell::command("python3").args(["-m", "venv"]).arg(venv()))?;
    }
    let there = shell::read(shell::command(&python).args(["-m", "pip", "freeze", "--disable-pip-version-check"]))?;
    let missing: Vec<&&str> = packages
        .iter()
        .filter(|package| !there.lines().any(|line| line == **package))
        .collect();
    if !missing.is_empty() {
        println!("installing the Python packages {missing:?}");
        let mut install = shell::command(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        shell::run(install.args(missing), INSTALL_LIMIT)?;
    }
    Ok(python)
}

/// A folder whose `node_modules` has this package.
pub fn node_package(name: &str, version: &str) -> Result<PathBuf> {
    let folder = shell::scratch().join("node");
    let manifest = folder.join("node_modules").join(name).join("package.json");
    let there = std::fs::read_to_string(&manifest).unwrap_or_default();
    if !there.contains(&format!("\"version\": \"{version}\"")) {
        println!("installing {name} {version} from npm");
        std::fs::create_dir_all(&folder)?;
        let mut install = shell::command("npm");
        install
            .args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&folder)
            .arg(format!("{name}@{version}"));
        shell::run(&mut install, INSTALL_LIMIT)?;
    }
    Ok(folder)
}

fn venv() -> PathBuf {
    shell::scratch().join("venv")
}
