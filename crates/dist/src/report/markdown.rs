//! The summary that a run's page shows: Markdown as GitHub, Forgejo and Gitea render it.

use dist_model::ErrorKind;

use super::account::{Account, plain};
use crate::text::{clean, size};

/// How many warnings are shown; the answer has them all.
const WARNINGS: usize = 50;

/// The summary, with an empty line at its end, since other steps append theirs.
pub fn render(account: &Account) -> String {
    let mut lines = Vec::new();
    if let Some(refusal) = &account.refusal {
        let kind = refusal.code.kind();
        lines.push("### Not published".to_owned());
        lines.push(String::new());
        lines.push(format!("`{}`: {}", refusal.code.as_str(), text(&refusal.message)));
        lines.push(String::new());
        lines.push(format!("Exit code {}: {}.", kind.exit_code(), meaning(kind)));
    } else {
        head(account, &mut lines);
        artifacts(account, &mut lines);
        warnings(account, &mut lines);
    }
    lines.push(String::new());
    lines.push(String::new());
    lines.join("\n")
}

fn head(account: &Account, lines: &mut Vec<String>) {
    let done = match account.status {
        "unchanged" => "was published before, unchanged",
        "draft" => "is a draft",
        "planned" => "would be published (dry run)",
        _ => "published",
    };
    let build = if account.build.is_empty() {
        String::new()
    } else {
        format!(" ({})", account.build)
    };
    let release = format!("{} {}{build}", account.app, account.version);
    lines.push(format!("### {} {done}", text(&release)));
    lines.push(String::new());
    if let Some(channel) = &account.channel {
        let from = channel.from.as_ref().map(|from| format!("{} → ", text(from)));
        lines.push(format!(
            "- Channel **{}**: {}{}, revision {}",
            text(&channel.name),
            from.unwrap_or_default(),
            text(&channel.to),
            channel.revision
        ));
    }
    if !account.install_url.is_empty() {
        lines.push(format!("- Install: {}", link(&account.install_url)));
    }
    if !account.release_id.is_empty() {
        lines.push(format!("- Release id: {}", text(&account.release_id)));
    }
}

fn artifacts(account: &Account, lines: &mut Vec<String>) {
    lines.push(String::new());
    lines.push("| Platform | File | Size | SHA-256 |".to_owned());
    lines.push("| --- | --- | ---: | --- |".to_owned());
    for artifact in &account.artifacts {
        lines.push(format!(
            "| {} | {} | {} | `{}` |",
            text(&artifact.platform),
            text(&artifact.filename),
            size(artifact.size_bytes),
            artifact.sha256
        ));
    }
}

fn warnings(account: &Account, lines: &mut Vec<String>) {
    if account.warnings.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push("**Warnings**".to_owned());
    lines.push(String::new());
    let shown = account.warnings.iter().take(WARNINGS);
    lines.extend(shown.map(|warning| format!("- {}", text(warning.trim_end()))));
    if account.warnings.len() > WARNINGS {
        lines.push(format!("- and {} more", account.warnings.len() - WARNINGS));
    }
}

/// What an exit code means to whoever looks at a red job.
fn meaning(kind: ErrorKind) -> &'static str {
    match kind.exit_code() {
        2 => "the command or a setting is wrong",
        3 => "something that was named is not there",
        4 => "the token may not do this",
        5 => "what is there already stands against it",
        6 => "a policy of the app or the channel forbids it",
        7 => "the manifest or a file is not acceptable",
        8 => "the network or the server failed for now; run it again, nothing happens twice",
        9 => "it took too long; run it again, nothing happens twice",
        _ => "something failed that should not; look into the server's log",
    }
}

/// A link that can be followed, or the text of one that cannot lead to a page.
fn link(url: &str) -> String {
    if url.starts_with("https://") || url.starts_with("http://") {
        format!("<{}>", plain(url))
    } else {
        text(url)
    }
}

/// One line that shows as itself: names come from strangers, and a page would render them.
fn text(text: &str) -> String {
    let mut escaped = String::new();
    for c in clean(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '!' | '|' | '~' | '$' | ':' | '@' => {
                escaped.extend(['\\', c]);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use dist_model::{ErrorCode, Refusal};

    use super::super::{ReportedArtifact, ReportedMove};
    use super::*;

    #[test]
    fn a_publish_is_told_with_its_move_its_artifacts_and_its_warnings() {
        let account = Account {
            status: "published",
            app: "acme".into(),
            release_id: "r2".into(),
            version: "1.1.0".into(),
            build: "2".into(),
            channel: Some(ReportedMove {
                name: "beta".into(),
                revision: 7,
                previous_id: "r1".into(),
                from: Some("1.0.0 (1)".into()),
                to: "1.1.0 (2)".into(),
            }),
            install_url: "https://get.example.org/install/acme/beta".into(),
            artifacts: vec![ReportedArtifact {
                platform: "linux".into(),
                filename: "acme.deb".into(),
                size_bytes: 2048,
                sha256: "ab".repeat(32),
                url: None,
            }],
            warnings: vec!["acme.deb: is not signed. ".into()],
            ..Account::default()
        };
        insta::assert_snapshot!(render(&account));
    }

    #[test]
    fn a_refusal_says_what_its_exit_code_means() {
        let refusal = Refusal::new(ErrorCode::ReleaseConflict, "1.0.0 is taken;\nuse a new version");
        insta::assert_snapshot!(render(&Account::from(&refusal)));
    }

    #[test]
    fn names_of_strangers_show_as_themselves() {
        let account = Account {
            artifacts: vec![ReportedArtifact {
                platform: "linux".into(),
                filename: "a|b`c`<img src=x>](https://evil)\u{202e}\n# h.deb".into(),
                size_bytes: 1,
                sha256: "00".into(),
                url: None,
            }],
            install_url: "https://get.example.org/>) [a](b)\n# h".into(),
            ..Account::default()
        };
        let page = render(&account);
        let row = page.lines().find(|line| line.contains("linux")).unwrap();
        let name = r"a\|b\`c\`&lt;img src=x&gt;\](https\://evil)";
        assert!(row.contains(name), "{row}");
        assert!(!page.contains("\n# h") && !page.contains('\u{202e}'), "{page}");
        assert!(
            page.contains("<https://get.example.org/%3E%29%20%5Ba%5D%28b%29%0A#%20h>\n"),
            "{page}"
        );
        assert_eq!(link("javascript:alert(1)"), r"javascript\:alert(1)");
    }

    #[test]
    fn a_flood_of_warnings_is_cut() {
        let account = Account {
            warnings: vec!["again".into(); 70],
            ..Account::default()
        };
        assert!(render(&account).contains("- again\n- and 20 more\n"));
    }
}
