//! One story, told to a folder and to a server, with the same words coming back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fmt::Write as _;

use support::{Kind, World, deb, filters};

/// A story as it is told: every command line with what it answered.
struct Story {
    world: World,
    told: String,
}

impl Story {
    /// Runs a command and writes down what it answered; a `#` begins a chapter.
    fn tell(&mut self, line: &str) {
        if let Some(title) = line.strip_prefix('#') {
            writeln!(self.told, "\n#{title}").unwrap();
            return;
        }
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = self.world.run(&arguments);
        writeln!(self.told, "$ dist {line}\n{}", run.stdout.trim_end()).unwrap();
        if run.code != 0 {
            writeln!(self.told, "exit {}", run.code).unwrap();
        }
    }
}

const STORY: &str = r"
# nothing there yet
app list --json
app show acme --json
# a dry run writes nothing
ci publish --manifest one.json --dry-run
app list --json
# published, and again
ci publish --manifest one.json
ci publish --manifest one.json --json
ci publish --manifest one.json --dry-run --json
# the same version with other bytes
ci publish --app acme --version 1.0 --build 1 --channel beta other.deb --json
# more releases
ci publish --app acme --version 1.1 --channel beta two.deb
ci publish --app acme --version 1.2 --channel beta three.deb
ci publish --manifest one.json
channel list --app acme --json
# promotion
release promote --app acme --channel stable --release 1.0
release promote --app acme --from-channel beta --to-channel stable --json
release promote --app acme --from-channel beta --to-channel stable
release promote --app acme --channel stable --release 1.0 --if-current 7 --json
release promote --app acme --channel stable --release 9.9 --json
# rollback
release rollback --app acme --channel beta
release rollback --app acme --channel beta --if-current 4 --json
release rollback --app acme --channel beta --json
channel history --app acme --channel beta --json
channel history --app acme beta --limit 2
# yanking
release yank --app acme 1.2 --json
release yank --app acme 1.2 --and-rollback --reason broken
release yank --app acme --release 1.2 --json
release promote --app acme --channel beta --release 1.2 --json
ci publish --app acme --version 1.2 --channel beta three.deb --json
# policy and settings
channel set --app acme --channel stable --policy promote_only --retention-keep 2 --rollout 10
ci publish --app acme --version 1.3 --channel stable two.deb --json
channel show --app acme stable --json
channel show --app acme stable
app set acme --display-name Acme! --visibility unlisted --ios-mode enterprise --json
app set acme --display-name Acme! --visibility unlisted --ios-mode enterprise --ios-bundle-id dev.acme --allow-platforms linux,ios --json
app create second --visibility private
app create second --json
app list
app show acme
# a draft from two jobs
ci publish --app acme --version 2.0 --build 7 --channel beta --draft two.deb
ci publish --app acme --version 2.0 --build 7 --channel beta --draft three.deb --json
ci publish --app acme --version 2.0 --build 7 --channel beta --draft three.deb
release publish --app acme 2.0 --require linux,ios --json
release promote --app acme --channel beta --release 2.0 --json
ci publish --app acme --version 2.0 --build 7 other.deb --json
release publish --app acme 2.0 --build 7 --require linux
release publish --app acme 2.0 --json
release discard --app acme 2.0 --json
ci publish --app acme --version 3.0 --draft draft.deb --json
release discard --app acme 3.0
release show --app acme 3.0 --json
# looking
release list --app acme
release list --app acme --status yanked --json
release list --app acme --order semver --limit 2
release show --app acme 1.0
ci publish --app acme --version 1.0 --build 2 other.deb
release show --app acme 1.0 --json
release show --app acme 1.0 --build 1 --json
# tokens
token create --name ci --scope publish,promote --app acme --channel beta,nightly --json
token create --name ci --scope read --json
token create --name late --scope root --json
token list --json
token revoke unknown --json
# tester links
link create --app acme --channel beta --note Bob --json
link create --app acme --channel beta --expires 2020-01-01T00:00:00Z --json
link list --app acme --json
link revoke unknown --app acme --json
# cleanup
store cleanup
store cleanup --dry-run --grace 0
store cleanup --grace 0 --json
store cleanup --grace 0
store verify --json
store verify
store backup --json
# the log
audit list --app second --json
audit list --action channel.rolled_back
audit list --action release.yanked --limit 1 --json
audit list --since yesterday --json
";

fn tell(kind: Kind) {
    let world = World::new(kind);
    for name in ["one", "two", "three", "other", "draft"] {
        world.write(&format!("{name}.deb"), deb(name));
    }
    let manifest = r#"{"app": "acme", "display_name": "Acme", "version": "1.0", "build": "1", "channel": "beta",
        "notes": "First.\nSecond line.", "source": {"commit": "abc", "branch": "main"},
        "artifacts": [{"path": "o*.deb", "filename": "acme.deb", "metadata": {"flavor": "prod"}}]}"#;
    world.write("one.json", manifest.replace("o*.deb", "on*.deb"));
    let mut story = Story {
        world,
        told: String::new(),
    };
    for line in STORY.lines().filter(|line| !line.is_empty()) {
        story.tell(line);
    }
    insta::with_settings!({ filters => filters(), omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("story", story.told);
    });
}

#[test]
fn the_story_of_a_folder() {
    tell(Kind::Local);
}

#[test]
fn the_story_of_a_server() {
    tell(Kind::Remote);
}
