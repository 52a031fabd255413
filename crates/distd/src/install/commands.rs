//! The commands that a page gives to copy. What stands in them is exactly what a shell takes.

use dist_model::{Artifact, Platform};

use super::kind::Kind;
use super::text::visible_or;

/// Commands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commands {
    pub title: &'static str,
    pub lines: Vec<String>,
}

/// What fetches, checks and installs a file on Linux. Without a `url` somebody has fetched it.
pub(super) fn on_linux(artifact: &Artifact, url: Option<&str>) -> Commands {
    let fetch = url.map(|url| format!("curl -fLo {} {}", quoted(&filename(artifact)), quoted(url)));
    let check = format!("echo {} | sha256sum -c", quoted(&checksum_line(artifact)));
    let install = to_install(artifact).map(|commands| commands.lines);
    Commands {
        title: "In a terminal",
        lines: fetch
            .into_iter()
            .chain([check])
            .chain(install.into_iter().flatten())
            .collect(),
    }
}

/// What installs a file on Linux that was downloaded there, where it is of a kind that has a command.
pub(super) fn to_install(artifact: &Artifact) -> Option<Commands> {
    if artifact.platform != Platform::Linux {
        return None;
    }
    let local = quoted(&format!("./{}", filename(artifact)));
    let lines = match Kind::of(artifact) {
        Kind::Deb => vec![format!("sudo apt install {local}")],
        Kind::Rpm => vec![format!("sudo dnf install {local}")],
        Kind::AppImage => vec![format!("chmod +x {local}"), local],
        Kind::Flatpak => vec![format!("flatpak install --user {local}")],
        // Who installs a snap that no store signed has to say that they mean it.
        Kind::Snap => vec![format!("sudo snap install --dangerous {local}")],
        Kind::Archive if artifact.package_type != "zip" => vec![format!("tar -xf {local}")],
        _ => return None,
    };
    Some(Commands {
        title: "In a terminal",
        lines,
    })
}

/// What checks a file that was downloaded on `platform`; on a phone nothing does.
pub(super) fn to_verify(artifact: &Artifact, platform: Platform) -> Option<Commands> {
    let line = || quoted(&checksum_line(artifact));
    let (title, lines) = match platform {
        Platform::Linux => ("In a terminal", vec![format!("echo {} | sha256sum -c", line())]),
        Platform::Macos => ("In Terminal", vec![format!("echo {} | shasum -a 256 -c", line())]),
        Platform::Windows => ("In PowerShell", on_windows(artifact)),
        Platform::Ios | Platform::AndroidApk | Platform::AndroidAab => return None,
    };
    Some(Commands { title, lines })
}

/// `certutil` shows the digest, and is everywhere; `Get-FileHash` compares it. A name that only
/// one of their shells would quote is left to PowerShell.
fn on_windows(artifact: &Artifact) -> Vec<String> {
    let name = filename(artifact);
    let file = quoted_for_powershell(&format!(".\\{name}"));
    let mut lines = vec![format!(
        "(Get-FileHash -LiteralPath {file}).Hash -eq '{}'",
        artifact.sha256
    )];
    if is_plain(&name) {
        lines.push(format!("certutil -hashfile {name} SHA256"));
    }
    lines
}

/// The name under which the file is meant to be kept: its own, of which nothing is hidden.
fn filename(artifact: &Artifact) -> String {
    visible_or(artifact.filename.as_str(), "download")
}

/// A line as `sha256sum -c` reads it. A file name has no newline or backslash that it would have
/// to escape.
fn checksum_line(artifact: &Artifact) -> String {
    format!("{}  ./{}", artifact.sha256, filename(artifact))
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

/// A word of PowerShell's command. It takes typographic quotes for plain ones; each stands for itself
/// where it is doubled.
fn quoted_for_powershell(text: &str) -> String {
    let mut word = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            word.push(c);
        }
        word.push(c);
    }
    format!("'{word}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_powershell_are_what_they_are() {
        for (text, word) in [
            (".\\acme.exe", "'.\\acme.exe'"),
            ("it's", "'it''s'"),
            ("a’; calc; ‘‚‛$(x)`", "'a’’; calc; ‘‘‚‚‛‛$(x)`'"),
        ] {
            assert_eq!(quoted_for_powershell(text), word);
        }
    }

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
