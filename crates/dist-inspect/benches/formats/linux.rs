//! Large packages for Linux.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{code, kept, noise};
use crate::process::must;

const MIB: usize = 1 << 20;

pub fn deb(scratch: &Path, _: &Path) -> PathBuf {
    kept(scratch, "large.deb", |path| {
        let root = filled(scratch, "deb-root");
        fs::create_dir_all(root.join("DEBIAN")).unwrap();
        let control = "Package: acme\nVersion: 1.2.3\nArchitecture: amd64\nMaintainer: Acme <acme@example.org>\n\
                       Description: a large package\n";
        fs::write(root.join("DEBIAN/control"), control).unwrap();
        must(
            Command::new("dpkg-deb")
                .args(["--root-owner-group", "-Zgzip", "-z6", "-b"])
                .arg(&root)
                .arg(path),
        );
        fs::remove_dir_all(root).unwrap();
    })
}

pub fn rpm(scratch: &Path, _: &Path) -> PathBuf {
    kept(scratch, "large.rpm", |path| {
        let root = filled(scratch, "rpm-root");
        let made = scratch.join("rpm-made");
        let spec = scratch.join("acme.spec");
        let text = format!(
            "Name: acme\nVersion: 1.2.3\nRelease: 1\nSummary: a large package\nLicense: MIT\nBuildArch: x86_64\n\
             AutoReqProv: no\n%description\na large package\n%install\ncp -a {}/. %{{buildroot}}\n%files\n/opt/acme\n",
            root.display()
        );
        fs::write(&spec, text).unwrap();
        let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
        must(
            Command::new("rpmbuild")
                .args(["-bb", "--target", "x86_64"])
                .args(define("_topdir", &made.display().to_string()))
                .args(define("_binary_payload", "w6.gzdio"))
                .args(define("__os_install_post", "%{nil}"))
                .arg(&spec),
        );
        fs::rename(made.join("RPMS/x86_64/acme-1.2.3-1.x86_64.rpm"), path).unwrap();
        fs::remove_dir_all(made).unwrap();
        fs::remove_dir_all(root).unwrap();
    })
}

/// A folder of files of a program, which become about a hundred megabytes when they are packed.
fn filled(scratch: &Path, name: &str) -> PathBuf {
    let root = scratch.join(name);
    let folder = root.join("opt/acme");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..5 {
        fs::write(folder.join(format!("part{number}")), code(number * 25 * MIB, 25 * MIB)).unwrap();
        fs::write(
            folder.join(format!("sound{number}.ogg")),
            noise(number as u64, 11 * MIB),
        )
        .unwrap();
    }
    root
}
