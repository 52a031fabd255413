//! The commands of a page, run as somebody would who follows it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::page::{Kind, Page};
use crate::server::Binaries;
use crate::shell;

/// How long the commands of one page may take.
const LIMIT: Duration = Duration::from_mins(3);
/// What begins a command of ours behind it.
const OPERATORS: [&str; 6] = ["|", "||", "&&", ";", "then", "do"];

/// Runs the blocks of a page in order. Whatever they leave running ends with them.
pub fn run(binaries: &Binaries, page: &Page) -> Result<()> {
    let of_kind = |wanted: Kind| {
        let blocks = page.blocks.iter().enumerate();
        blocks.filter(move |(_, block)| block.kind == wanted)
    };
    if of_kind(Kind::Run).next().is_none() {
        return Ok(());
    }
    let (home, scratch) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let output = |number: usize| scratch.path().join(number.to_string());
    let mut script = "ip link set lo up\n".to_owned();
    for (number, block) in of_kind(Kind::Run) {
        // One shell runs them all, so that variables and background jobs stay.
        writeln!(script, "exec >{} 2>&1\n{}", output(number).display(), block.text)?;
    }
    let path = scratch.path().join("script");
    fs::write(&path, script)?;
    let mut shell = reader(binaries, home.path(), scratch.path())?;
    if let Err(error) = shell::run(shell.arg("-eu").arg(&path), LIMIT) {
        let said = |(number, block)| Some((block, fs::read_to_string(output(number)).ok()?));
        let Some((block, said)) = of_kind(Kind::Run).filter_map(said).next_back() else {
            return Err(error.context("a network of one's own takes root, or a kernel that lets others have one"));
        };
        let (line, text, said): (_, &str, _) = (block.line, &block.text, said.trim_end());
        bail!("line {line}: {error}\n{text}\n{said}");
    }
    for (number, block) in of_kind(Kind::Output) {
        let at = || format!("line {}", block.line);
        let before = number.checked_sub(1).filter(|number| output(*number).exists());
        let before = before.context("no commands stand before the output").with_context(at)?;
        compare(&block.text, &fs::read_to_string(output(before))?).with_context(at)?;
    }
    Ok(())
}

/// A shell on a machine of its own, as far as networks and processes go, with an empty home where
/// `~/dist` is the repository.
fn reader(binaries: &Binaries, home: &Path, scratch: &Path) -> Result<Command> {
    let tools = scratch.join("bin");
    fs::create_dir(&tools)?;
    for program in binaries.paths() {
        symlink(
            program,
            tools.join(program.file_name().context("a program has a name")?),
        )?;
    }
    symlink(shell::root(), home.join("dist"))?;
    #[allow(
        clippy::disallowed_methods,
        reason = "the machine's own programs stay where they are"
    )]
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(tools).chain(std::env::split_paths(&inherited));
    let mut command = shell::command("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("bash").current_dir(home).env_clear();
    command
        .env("HOME", home)
        .env("PATH", std::env::join_paths(path)?)
        .env("LANG", "C.UTF-8");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Each line that the page shows was printed, in this order; `…` stands for anything.
fn compare(shown: &str, said: &str) -> Result<()> {
    let mut lines = said.lines();
    for line in shown.lines() {
        ensure!(
            lines.any(|said| matches(line, said)),
            "the page shows {line:?}, and what was said is\n{}",
            said.trim_end()
        );
    }
    Ok(())
}

fn matches(shown: &str, said: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.trim_end().strip_prefix(first) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        is_open = part.is_empty();
    }
    rest.is_empty() || is_open
}

/// Checks that the programs take the commands that are not run, as far as `--help` behind them tells:
/// names of commands and flags, and the values of both.
pub fn check_spelling(binaries: &Binaries, page: &Page) -> Result<()> {
    for block in page.blocks.iter().filter(|block| block.kind == Kind::NotRun) {
        for words in commands(&block.text) {
            let program = binaries.paths()[usize::from(words[0] == "distd")];
            let output = shell::output(shell::command(program).args(&words[1..]).arg("--help").env_clear())?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "line {}: {}: {said}",
                block.line,
                words.join(" ")
            );
        }
    }
    Ok(())
}

/// The commands of ours in a block, as words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let words = words(line);
        for command in words.split(|word| OPERATORS.contains(&word.as_str())) {
            let is_setting = |word: &&String| word.contains('=') || *word == "sudo";
            let command: Vec<String> = command.iter().skip_while(is_setting).cloned().collect();
            let command = inside(&command);
            if command.first().is_some_and(|word| word == "dist" || word == "distd") {
                commands.push(command.to_vec());
            }
        }
    }
    commands
}

/// What a command runs in a container, as `docker exec CONTAINER COMMAND` does; else itself.
fn inside(command: &[String]) -> &[String] {
    let is_engine = command.first().is_some_and(|word| word == "docker" || word == "podman");
    let Some(exec) = command.iter().position(|word| is_engine && word == "exec") else {
        return command;
    };
    let rest = &command[exec + 1..];
    let flags = rest.iter().take_while(|word| word.starts_with('-')).count();
    rest.get(flags + 1..).unwrap_or_default()
}

/// The words of a line, up to a comment, a redirection or the end of a substitution.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.replace("\"$(", " ; ").replace("$(", " ; ").chars() {
        match (quote, letter) {
            (Some(mark), letter) if letter == mark => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, ')') => break,
            (None, '>' | '<') => {
                // The number of a channel belongs to its redirection.
                word = word.filter(|word| word.parse::<u8>().is_err());
                break;
            }
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words.retain(|word| word != "&");
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_ours_are_found_among_others() {
        let found = commands(
            "cd out && dist ci publish --app acme \\\n  --version '1.0 0' a.apk 2>log # dist nothing\n\
             export DIST_TOKEN=$(dist token create --name ci)\nsudo distd --data /data &\necho dist\n\
             DIST_APP=acme dist app show | head -1\ndocker compose exec -T dist dist audit list\n",
        );
        let found: Vec<String> = found.iter().map(|words| words.join("|")).collect();
        assert_eq!(
            found,
            [
                "dist|ci|publish|--app|acme|--version|1.0 0|a.apk",
                "dist|token|create|--name|ci",
                "distd|--data|/data",
                "dist|app|show",
                "dist|audit|list",
            ]
        );
    }

    #[test]
    fn what_a_page_shows_may_leave_out_and_not_invent() {
        let said = "acme 1.0.0 published (01a1)\n  linux  a.tar.gz\nbeta is at 1.0.0 (revision 1)\n";
        assert!(compare("acme 1.0.0 published (…)\nbeta is at …\n", said).is_ok());
        assert!(compare("beta is at …\nacme 1.0.0 published (…)\n", said).is_err());
        assert!(compare("acme 1.0.0\n", said).is_err());
    }
}
