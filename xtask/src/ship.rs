//! What users get: `dist` and `distd` as one static program for each platform, such that a commit
//! comes to the same bytes wherever it is built.
//!
//! Every path of the building machine that would end up in the program is written as something else.
//! What is left to agree on are the versions of Rust, of the C compiler and of its C library, which
//! the bill of materials names.

pub mod package;
pub mod sbom;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{shell, tools};

const BUILD_LIMIT: Duration = Duration::from_hours(1);

/// A platform that is built for.
#[derive(Debug, PartialEq, Eq)]
pub struct Platform {
    /// The processor, as archives, Rust and qemu call it.
    pub arch: &'static str,
    /// The processor, as images call it.
    pub oci_arch: &'static str,
    /// What Rust calls the platform. The C library is glibc, linked statically; see
    /// `docs/decisions/0006-one-static-program-on-glibc.md`.
    pub target: &'static str,
    /// Its C compiler.
    pub compiler: &'static str,
}

/// Every platform that is built for.
pub const PLATFORMS: [Platform; 2] = [
    Platform {
        arch: "x86_64",
        oci_arch: "amd64",
        target: "x86_64-unknown-linux-gnu",
        compiler: "x86_64-linux-gnu-gcc",
    },
    Platform {
        arch: "aarch64",
        oci_arch: "arm64",
        target: "aarch64-unknown-linux-gnu",
        compiler: "aarch64-linux-gnu-gcc",
    },
];

/// How much is made of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// What users get: optimised as a whole, which takes minutes.
    Final,
    /// The same without optimisation, to see that it works.
    Trial,
}

impl Effort {
    /// What Cargo calls the profile, and its folder.
    fn profile(self) -> (&'static str, &'static str) {
        match self {
            Self::Final => ("ship", "ship"),
            Self::Trial => ("dev", "debug"),
        }
    }
}

/// What the files of a release say of where they come from.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Origin {
    /// The time that files get, in seconds since 1970 [default: the commit's]
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    source_date_epoch: Option<u64>,
}

impl Origin {
    /// The time that files get, in seconds since 1970.
    pub fn epoch(&self) -> Result<u64> {
        if let Some(epoch) = self.source_date_epoch {
            return Ok(epoch);
        }
        Ok(git(&["log", "-1", "--format=%ct"])?.parse()?)
    }

    /// The same in words of RFC 3339.
    pub fn time(&self) -> Result<String> {
        let epoch = format!("@{}", self.epoch()?);
        let time = shell::read(shell::command("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", &epoch]))?;
        Ok(time.trim().to_owned())
    }
}

/// The commit that is built, with a mark where the files are not those of the commit.
pub fn revision() -> Result<String> {
    git(&["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"])
}

/// The version that is built.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

fn git(arguments: &[&str]) -> Result<String> {
    Ok(shell::read(shell::command("git").args(arguments))?.trim().to_owned())
}

impl Platform {
    /// Whether this machine is one.
    pub fn is_here(&self) -> bool {
        self.arch == std::env::consts::ARCH
    }

    /// Builds the program, and gives the file: `dist`, which is `distd` where it is called so.
    pub fn build(&self, effort: Effort) -> Result<PathBuf> {
        tools::ensure_static_builds(self)?;
        let (profile, folder) = effort.profile();
        let mut build = shell::cargo(["build", "--package=dist", "--locked", "--profile", profile]);
        build.args(["--target", self.target]);
        let places = Places::find()?;
        // These take precedence over any flags that the user or a settings file has, which would come to
        // other bytes.
        build.env("CARGO_ENCODED_RUSTFLAGS", places.rust_flags().join("\u{1f}"));
        let target = self.target.replace('-', "_");
        build.env(format!("CFLAGS_{target}"), places.c_flags().join(" "));
        if !self.is_here() {
            build.env(format!("CARGO_TARGET_{}_LINKER", target.to_uppercase()), self.compiler);
        }
        shell::run(&mut build, BUILD_LIMIT)?;
        Ok(shell::root().join("target").join(self.target).join(folder).join("dist"))
    }

    /// A program of this platform, by way of an emulator where the machine is another.
    pub fn run(&self, program: &Path) -> Command {
        if self.is_here() {
            return shell::command(program);
        }
        let mut emulator = shell::command(format!("qemu-{}-static", self.arch));
        emulator.arg(program);
        emulator
    }
}

/// Where sources are on this machine.
struct Places {
    workspace: PathBuf,
    cargo_home: PathBuf,
    toolchain: PathBuf,
    /// The commit of the compiler, by which it calls the standard library's sources.
    compiler_commit: String,
}

impl Places {
    fn find() -> Result<Self> {
        let rustc = |arguments: &[&str]| shell::read(shell::command("rustc").args(arguments));
        let version = rustc(&["-vV"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        Ok(Self {
            workspace: shell::root(),
            cargo_home: cargo_home(&metadata()?).context("no package comes from a registry")?,
            toolchain: rustc(&["--print=sysroot"])?.trim().into(),
            compiler_commit: commit.context("rustc names no commit")?.to_owned(),
        })
    }

    fn rust_flags(&self) -> Vec<String> {
        let sources = self.toolchain.join("lib/rustlib/src/rust");
        let commit = format!("/rustc/{}", self.compiler_commit);
        let renamed = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
        vec![
            "-Ctarget-feature=+crt-static".to_owned(),
            renamed(&self.workspace, "/dist"),
            renamed(&self.cargo_home, "/cargo"),
            renamed(&sources, &commit),
        ]
    }

    fn c_flags(&self) -> [String; 2] {
        let renamed = |from: &Path, to: &str| format!("-ffile-prefix-map={}={to}", from.display());
        [renamed(&self.workspace, "/dist"), renamed(&self.cargo_home, "/cargo")]
    }
}

/// What Cargo knows of all packages.
fn metadata() -> Result<Value> {
    let metadata = shell::read(&mut shell::cargo(["metadata", "--format-version=1", "--locked"]))?;
    Ok(serde_json::from_str(&metadata)?)
}

/// Where Cargo keeps what it has fetched, told from where a package is:
/// `HOME/registry/src/REGISTRY/PACKAGE/Cargo.toml`.
fn cargo_home(metadata: &Value) -> Option<PathBuf> {
    let packages = metadata["packages"].as_array()?;
    let fetched = packages.iter().find(|package| package["source"].is_string())?;
    let manifest = Path::new(fetched["manifest_path"].as_str()?);
    manifest.ancestors().nth(5).map(Path::to_owned)
}
