//! The packages that carry artifacts, each pinned, from their registries by the registries' own
//! clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::shell;

/// Who hands out a package, and in which form.
#[derive(Clone, Copy)]
enum Registry {
    Npm,
    /// The Python package index, as a package for Windows.
    Wheel,
    /// The same, as sources.
    Sources,
    Debian,
}

/// A package, and the SHA-256 of its file.
pub struct Package {
    registry: Registry,
    pub name: &'static str,
    pub version: &'static str,
    sha256: &'static str,
}

const fn package(registry: Registry, name: &'static str, version: &'static str, sha256: &'static str) -> Package {
    Package {
        registry,
        name,
        version,
        sha256,
    }
}

/// What is compared: packages that are artifacts, or have some in them.
pub const PACKAGES: &[Package] = &[
    package(
        Registry::Npm,
        "7zip-bin",
        "5.2.0",
        "04f9738ee00be8be53f5d06254a9e6e4b5117b17f8b74058477d870e62764a7d",
    ),
    package(
        Registry::Npm,
        "android-apidemos",
        "5.0.0",
        "8efe4f6cef47fba151718e2471dc1c8ac9a37623841a2485e65752222253b39c",
    ),
    package(
        Registry::Npm,
        "appium-uiautomator2-server",
        "10.6.6",
        "c0ddd247106d51d41749ae3aeb1818df18f46735020ae464f525d016e96f2fe9",
    ),
    package(
        Registry::Npm,
        "electron-winstaller",
        "5.4.4",
        "d50041e57c74dc1cf35baa3d56c79f88ca4ed74617833b932620371d220bb2b7",
    ),
    package(
        Registry::Npm,
        "rcedit",
        "4.0.1",
        "a5c469283ea9d55727eef46a27a0d57a0beae58f262b697545f1491c2cf56d0b",
    ),
    package(
        Registry::Npm,
        "toasted-notifier",
        "10.1.0",
        "7c211d777e6deb609aeab57c27fdf0f7b9f52c0ffe9d8760bfb7832b843f9b83",
    ),
    package(
        Registry::Wheel,
        "debugpy",
        "1.8.22",
        "371a4ba4a5975eb958393903f3254cf983da7b1c7c178b3f987ee427f42515e3",
    ),
    package(
        Registry::Wheel,
        "distlib",
        "0.4.4",
        "cf09d55b1e85a89576b036aeb71550bfd68320f3f21761ca329eadadad918638",
    ),
    package(
        Registry::Wheel,
        "pywinpty",
        "3.1.2",
        "220e30a8cccd7f0be3356d4e3e56fdcda2ae45edc1de526b440c4031fe9308da",
    ),
    package(
        Registry::Wheel,
        "setuptools",
        "84.2.1",
        "ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2",
    ),
    package(
        Registry::Sources,
        "pync",
        "2.0.3",
        "38b9e61735a3161f9211a5773c5f5ea698f36af4ff7f77fa03e8d1ff0caa117f",
    ),
    package(
        Registry::Debian,
        "adduser",
        "3.134",
        "c24fe4eb8e60d8632d72ed104cce7c92cff200847c897dc8ba764b6c47b519e0",
    ),
    package(
        Registry::Debian,
        "android-framework-res",
        "1:10.0.0+r36-10",
        "267dad38b2e01b2705bd106023cfb5e6410175ebe35c60f3186eef521248bc6b",
    ),
    package(
        Registry::Debian,
        "ca-certificates",
        "20250419~deb12u2",
        "b9f76b5271a7ac373fd5e7e1b5b826a71ddd702b42a0d104955ecb1acfffc94b",
    ),
    package(
        Registry::Debian,
        "dash",
        "0.5.12-2",
        "33ea40061da2f1a861ec46212b2b6a34f0776a049b1a3f0abce2fb8cb994258f",
    ),
    package(
        Registry::Debian,
        "hostname",
        "3.23+nmu1",
        "17d9a2f3c05004499d80e180d2440fd716f84c32b65f09d96c9a024af4d1d0e7",
    ),
    package(
        Registry::Debian,
        "jq",
        "1.6-2.1+deb12u3",
        "c25f3fda201207ed98b1d63686f2d81b9dfeb99f1ab2d1d35fb3f7b6a1c107dc",
    ),
    package(
        Registry::Debian,
        "libjq1",
        "1.6-2.1+deb12u3",
        "5e9a7081ba10ce826f6d3d103aa9b912170c5adc836e2561000733571995dd5b",
    ),
    package(
        Registry::Debian,
        "ncal",
        "12.1.8",
        "d2de213d7e86ae56d1d44318dc8307e1efe5ea6ede0dbef6ae3c7ed68e4be618",
    ),
    package(
        Registry::Debian,
        "nsis-common",
        "3.08-3+deb12u1",
        "f1c9e63389c947442fddd5ca446e22966e8f03fc10663f998cf7df58642f9b52",
    ),
    package(
        Registry::Debian,
        "sed",
        "4.9-1+deb12u1",
        "fd557efeee8aae4619c2cb7f68aadccb804322ad4a99ab048aaae5901d253885",
    ),
    package(
        Registry::Debian,
        "shim-signed",
        "1.51~1+deb12u1+16.1-2~deb12u1",
        "c2acf5e559664bbadb7ce5789f9a321f39754a34854d3097b8cc0369df513b3b",
    ),
    package(
        Registry::Debian,
        "tzdata",
        "2026f-0+deb12u1",
        "3254eb870c8a949518214805aee5e4276af7699988ea8b9a3a583cd0f1eab31c",
    ),
    package(
        Registry::Debian,
        "zstd",
        "1.5.4+dfsg2-5",
        "3f6f833ae2fd533a0c9238310aef1148f51a64aa5d5f1278451ddc793d4d6d15",
    ),
];

impl Package {
    /// Its file in `folder`, downloaded where it is not there.
    pub fn fetch(&self, folder: &Path, python: &Path) -> Result<PathBuf> {
        let own = folder.join(self.sha256);
        if !own.exists() {
            println!("downloading {} {}", self.name, self.version);
            let begun = tempfile::tempdir_in(folder)?;
            shell::read(self.client(python, begun.path()).current_dir(begun.path()))
                .with_context(|| format!("{} {} cannot be had any more", self.name, self.version))?;
            let file = only_file(begun.path())?;
            let digest = hex::encode(Sha256::digest(fs::read(&file)?));
            ensure!(
                digest == self.sha256,
                "{} {} has the SHA-256 {digest}",
                self.name,
                self.version
            );
            fs::rename(begun.keep(), &own)?;
        }
        only_file(&own)
    }

    /// The command that downloads it.
    fn client(&self, python: &Path, into: &Path) -> Command {
        let (name, version) = (self.name, self.version);
        let pip = |options: &[&str]| {
            let mut pip = shell::command(python);
            pip.args([
                "-m",
                "pip",
                "download",
                "--disable-pip-version-check",
                "--no-deps",
                "--dest",
            ]);
            pip.arg(into).args(options).arg(format!("{name}=={version}"));
            pip
        };
        match self.registry {
            Registry::Npm => {
                let mut npm = shell::command("npm");
                npm.args(["pack", "--silent", &format!("{name}@{version}")]);
                npm
            }
            Registry::Wheel => pip(&[
                "--only-binary=:all:",
                "--platform=win_amd64",
                "--implementation=cp",
                "--python-version=3.12",
            ]),
            Registry::Sources => pip(&["--no-binary=:all:"]),
            Registry::Debian => {
                let mut apt = shell::command("apt-get");
                apt.args(["download", "--quiet", &format!("{name}={version}")]);
                apt
            }
        }
    }
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?;
    let file = entries.next().context("nothing was downloaded")??;
    Ok(file.path())
}
