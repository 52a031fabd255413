//! What to type, by command: shown by `--help`, in the manual pages and in the reference.

use dist_term::Examples;

/// At least one line for every command that does something.
pub const EXAMPLES: Examples = &[
    (
        "dist",
        &[
            "# Publish two builds to the channel beta, from a CI job with DIST_SERVER and DIST_TOKEN",
            "dist ci publish --app acme --version 2.4.0 --channel beta out/acme.apk out/acme.ipa",
            "# Give everybody what the testers have",
            "dist release promote --app acme --from-channel beta --to-channel stable",
        ],
    ),
    (
        "dist ci publish",
        &[
            "# What dist.json in this folder describes",
            "dist ci publish",
            "# Without a manifest",
            "dist ci publish --app acme --version 2.4.0 --build 812 --channel beta out/acme.apk",
            "# Only say what would happen",
            "dist ci publish --manifest ci/dist.json --dry-run",
        ],
    ),
    (
        "dist release list",
        &[
            "dist release list --app acme",
            "dist release list --app acme --status yanked --json",
        ],
    ),
    (
        "dist release show",
        &[
            "dist release show --app acme 2.4.0",
            "dist release show --app acme 2.4.0 --build 812",
        ],
    ),
    (
        "dist release publish",
        &["dist release publish --app acme 2.4.0 --require ios,android_apk --channel beta"],
    ),
    (
        "dist release promote",
        &[
            "# Point stable at what beta points at",
            "dist release promote --app acme --from-channel beta --to-channel stable",
            "# Only if nobody else moved it meanwhile",
            "dist release promote --app acme --channel stable --release 2.4.0 --if-current 7",
        ],
    ),
    (
        "dist release rollback",
        &["dist release rollback --app acme --channel stable"],
    ),
    (
        "dist release yank",
        &["dist release yank --app acme 2.4.0 --and-rollback --reason 'crashes at start'"],
    ),
    ("dist release discard", &["dist release discard --app acme 2.4.0"]),
    (
        "dist channel list",
        &["dist channel list --app acme", "dist channel list --app acme --json"],
    ),
    ("dist channel show", &["dist channel show --app acme stable"]),
    (
        "dist channel set",
        &[
            "# Only tested releases reach stable, and a cleanup keeps ten of them",
            "dist channel set --app acme stable --policy promote_only --retention-keep 10",
        ],
    ),
    (
        "dist channel history",
        &["dist channel history --app acme stable --limit 20"],
    ),
    ("dist app list", &["dist app list", "dist app list --json"]),
    ("dist app show", &["dist app show acme"]),
    (
        "dist app create",
        &["dist app create acme --display-name Acme --visibility private"],
    ),
    (
        "dist app set",
        &[
            "dist app set acme --visibility unlisted",
            "dist app set acme --ios-mode testflight --testflight-url https://testflight.apple.com/join/abcd1234",
        ],
    ),
    (
        "dist link create",
        &["dist link create --app acme --channel beta --expires 30d --note 'the Berlin office'"],
    ),
    ("dist link list", &["dist link list --app acme --channel beta"]),
    (
        "dist link revoke",
        &["dist link revoke --app acme 0192f1c4-7a5b-7c3e-9d21-3f4b5c6d7e8f"],
    ),
    (
        "dist token create",
        &[
            "# For a CI job that publishes one app",
            "dist token create --name acme-ci --scope publish --app acme --channel beta --expires 90d",
            "# The first one, in a shell on the server's own folder",
            "dist token create --name admin --scope admin --local-store ./dist-data",
        ],
    ),
    ("dist token list", &["dist token list"]),
    (
        "dist token revoke",
        &["dist token revoke 0192f1c4-7a5b-7c3e-9d21-3f4b5c6d7e8f"],
    ),
    (
        "dist audit list",
        &[
            "dist audit list --app acme --limit 20",
            "dist audit list --actor token:acme-ci --since 2026-01-01T00:00:00Z --json",
        ],
    ),
    (
        "dist store cleanup",
        &["dist store cleanup --dry-run", "dist store cleanup --grace 30m"],
    ),
    ("dist store verify", &["dist store verify --local-store ./dist-data"]),
    (
        "dist store backup",
        &[
            "# To the folder that the server chooses",
            "dist store backup",
            "dist store backup /mnt/backups/dist-monday --local-store ./dist-data",
        ],
    ),
    (
        "dist store restore",
        &["dist store restore /mnt/backups/dist-monday --local-store ./restored"],
    ),
    ("dist store upgrade", &["dist store upgrade --local-store ./dist-data"]),
    ("dist store rebuild", &["dist store rebuild --local-store ./dist-data"]),
    ("dist config show", &["dist config show", "dist config show --json"]),
    (
        "dist inspect",
        &[
            "dist inspect out/acme.apk",
            "dist inspect --json out/acme.apk out/acme.ipa",
        ],
    ),
    (
        "dist server run",
        &["dist server run --data ./dist-data --listen 127.0.0.1:8787"],
    ),
    (
        "dist completions",
        &[
            "dist completions bash > /usr/share/bash-completion/completions/dist",
            "dist completions zsh > /usr/local/share/zsh/site-functions/_dist",
            "dist completions fish > ~/.config/fish/completions/dist.fish",
        ],
    ),
    (
        "dist man",
        &["dist man | man -l -", "dist man --dir /usr/local/share/man/man1"],
    ),
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_has_examples_that_it_understands() {
        assert_eq!(crate::program().wrong_examples(), [""; 0]);
    }
}
