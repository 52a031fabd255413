//! The commands that a page gives to copy. What stands in them is exactly what a shell takes.

use dist_model::{Artifact, Platform};

use super::kind::Kind;

/// Commands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commands {
    pub title: &'static str,
    pub text: String,
}

/// What fetches, checks and installs a file on Linux. Without a `url` somebody has fetched it.
pub(super) fn on_linux(artifact: &Artifact, url: Option<&str>) -> Commands {
    let name = quoted(artifact.filename.as_str());
    let local = quoted(&format!("./{}", artifact.filename));
    let install = match Kind::of(artifact) {
        Kind::Deb => format!("sudo apt install {local}"),
        Kind::Rpm => format!("sudo dnf install {local}"),
        Kind::AppImage => format!("chmod +x {local}\n{local}"),
        Kind::Flatpak => format!("flatpak install --user {local}"),
        // Who installs a snap that no store signed has to say that they mean it.
        Kind::Snap => format!("sudo snap install --dangerous {local}"),
        Kind::Archive if artifact.package_type != "zip" => format!("tar -xf {local}"),
        _ => String::new(),
    };
    let fetch = url.map(|url| format!("curl -fLo {name} {}", quoted(url)));
    let check = format!("echo {} | sha256sum -c", quoted(&checksum_line(artifact)));
    let lines: Vec<String> = fetch
        .into_iter()
        .chain([check, install])
        .filter(|line| !line.is_empty())
        .collect();
    Commands {
        title: "In a terminal",
        text: lines.join("\n"),
    }
}

/// What checks a file that was downloaded on `platform`; on a phone nothing does.
pub(super) fn to_verify(artifact: &Artifact, platform: Platform) -> Option<Commands> {
    let line = || quoted(&checksum_line(artifact));
    let (title, text) = match platform {
        Platform::Linux => ("In a terminal", format!("echo {} | sha256sum -c", line())),
        Platform::Macos => ("In Terminal", format!("echo {} | shasum -a 256 -c", line())),
        Platform::Windows => ("In PowerShell", on_windows(artifact)),
        Platform::Ios | Platform::AndroidApk | Platform::AndroidAab => return None,
    };
    Some(Commands { title, text })
}

/// `certutil` shows the digest, and is everywhere; `Get-FileHash` compares it. A name that only
/// one of their shells would quote is left to PowerShell.
fn on_windows(artifact: &Artifact) -> String {
    let name = artifact.filename.as_str();
    let compare = format!(
        "(Get-FileHash '.\\{}').Hash -eq '{}'",
        name.replace('\'', "''"),
        artifact.sha256
    );
    if is_plain(name) {
        format!("{compare}\ncertutil -hashfile {name} SHA256")
    } else {
        compare
    }
}

/// A line as `sha256sum -c` reads it. A file name has no newline or backslash that it would have
/// to escape.
fn checksum_line(artifact: &Artifact) -> String {
    format!("{}  ./{}", artifact.sha256, artifact.filename)
}

fn is_plain(text: &str) -> bool {
    !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._+/:@%".contains(&b))
}

/// A word of a POSIX shell's command, whatever is in it.
fn quoted(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_are_what_they_are() {
        for (text, word) in [
            ("acme-1.0.deb", "acme-1.0.deb"),
            ("-rf", "'-rf'"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's;x", "'it'\\''s;x'"),
            ("https://x.org/d?artifact=1", "'https://x.org/d?artifact=1'"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
