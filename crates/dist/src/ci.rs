//! Where a build came from, as the CI system's environment says it.

use dist_model::Source;

use crate::settings::Environment;

/// A CI system: the variable that tells it, and where its facts are. Of several variables the
/// first that is set counts.
struct System {
    told_by: &'static str,
    commit: &'static [&'static str],
    branch: &'static [&'static str],
    run_url: Run,
}

/// How the page of a run is found.
enum Run {
    /// A variable holds it.
    Variable(&'static [&'static str]),
    /// On GitHub and those who speak its dialect: server, repository and this variable.
    Actions(&'static str),
}

/// The dialects of GitHub come before GitHub itself, whose variables they set too. A pull request
/// is built on a merge commit of its own, so its source branch says more.
const SYSTEMS: &[System] = &[
    System {
        told_by: "FORGEJO_ACTIONS",
        commit: &["FORGEJO_SHA", "GITHUB_SHA"],
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        run_url: Run::Actions("GITHUB_RUN_NUMBER"),
    },
    System {
        told_by: "GITEA_ACTIONS",
        commit: &["GITEA_SHA", "GITHUB_SHA"],
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        run_url: Run::Actions("GITHUB_RUN_NUMBER"),
    },
    System {
        told_by: "GITHUB_ACTIONS",
        commit: &["GITHUB_SHA"],
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        run_url: Run::Actions("GITHUB_RUN_ID"),
    },
    System {
        told_by: "GITLAB_CI",
        commit: &["CI_COMMIT_SHA"],
        branch: &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"],
        run_url: Run::Variable(&["CI_PIPELINE_URL", "CI_JOB_URL"]),
    },
    System {
        told_by: "JENKINS_URL",
        commit: &["GIT_COMMIT"],
        branch: &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"],
        run_url: Run::Variable(&["BUILD_URL"]),
    },
    System {
        told_by: "BITRISE_IO",
        commit: &["BITRISE_GIT_COMMIT", "GIT_CLONE_COMMIT_HASH"],
        branch: &["BITRISE_GIT_BRANCH", "BITRISE_GIT_TAG"],
        run_url: Run::Variable(&["BITRISE_BUILD_URL"]),
    },
    System {
        told_by: "CIRCLECI",
        commit: &["CIRCLE_SHA1"],
        branch: &["CIRCLE_BRANCH", "CIRCLE_TAG"],
        run_url: Run::Variable(&["CIRCLE_BUILD_URL"]),
    },
];

/// What the environment says of the source; nothing outside of CI.
pub fn source(environment: &Environment) -> Source {
    let Some(system) = SYSTEMS
        .iter()
        .find(|system| environment.get(system.told_by).is_some_and(|value| value != "false"))
    else {
        return Source::default();
    };
    let run_url = match system.run_url {
        Run::Variable(names) => first(environment, names),
        Run::Actions(number) => actions_url(environment, number),
    };
    Source {
        commit: first(environment, system.commit).and_then(|commit| plain(commit, 200)),
        branch: first(environment, system.branch)
            .map(|branch| branch.strip_prefix("origin/").map(str::to_owned).unwrap_or(branch))
            .and_then(|branch| plain(branch, 500)),
        run_url: run_url
            .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
            .and_then(|url| plain(url, 2000)),
    }
}

fn first(environment: &Environment, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| environment.get(name)).map(str::to_owned)
}

fn actions_url(environment: &Environment, number: &str) -> Option<String> {
    let server = environment.get("GITHUB_SERVER_URL")?.trim_end_matches('/');
    let repository = environment.get("GITHUB_REPOSITORY")?;
    Some(format!(
        "{server}/{repository}/actions/runs/{}",
        environment.get(number)?
    ))
}

/// A value that a manifest could hold: a branch name that could not must not stop a release.
fn plain(text: String, longest: usize) -> Option<String> {
    (text.chars().count() <= longest && !text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(environment: [(&str, &str); N], commit: &str, branch: &str, run_url: &str) {
        let source = source(&Environment::from(environment));
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        assert_eq!(
            (
                text(&source.commit).as_str(),
                text(&source.branch).as_str(),
                text(&source.run_url).as_str()
            ),
            (commit, branch, run_url),
            "{environment:?}"
        );
    }

    #[test]
    fn every_system_is_told() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SHA", "c1"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "acme/app"),
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_RUN_NUMBER", "5"),
        ];
        let with = |more: (&'static str, &'static str)| {
            let mut all = [("", ""); 8];
            all[..7].copy_from_slice(&github);
            all[7] = more;
            all
        };
        check(github, "c1", "main", "https://github.com/acme/app/actions/runs/77");
        check(
            with(("GITHUB_HEAD_REF", "fix")),
            "c1",
            "fix",
            "https://github.com/acme/app/actions/runs/77",
        );
        check(
            with(("GITEA_ACTIONS", "true")),
            "c1",
            "main",
            "https://github.com/acme/app/actions/runs/5",
        );
        check(
            with(("FORGEJO_ACTIONS", "true")),
            "c1",
            "main",
            "https://github.com/acme/app/actions/runs/5",
        );
        check(
            [
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_SHA", "c2"),
                ("CI_COMMIT_REF_NAME", "dev"),
                ("CI_PIPELINE_URL", "https://gl/p/1"),
                ("CI_JOB_URL", "https://gl/j/2"),
            ],
            "c2",
            "dev",
            "https://gl/p/1",
        );
        check(
            [
                ("JENKINS_URL", "https://ci/"),
                ("GIT_COMMIT", "c3"),
                ("GIT_BRANCH", "origin/main"),
                ("BUILD_URL", "https://ci/job/1/"),
            ],
            "c3",
            "main",
            "https://ci/job/1/",
        );
        check(
            [
                ("BITRISE_IO", "true"),
                ("BITRISE_GIT_COMMIT", "c4"),
                ("BITRISE_GIT_BRANCH", "main"),
                ("BITRISE_BUILD_URL", "https://app.bitrise.io/build/1"),
            ],
            "c4",
            "main",
            "https://app.bitrise.io/build/1",
        );
        check(
            [
                ("CIRCLECI", "true"),
                ("CIRCLE_SHA1", "c5"),
                ("CIRCLE_TAG", "v1"),
                ("CIRCLE_BUILD_URL", "https://circleci.com/1"),
            ],
            "c5",
            "v1",
            "https://circleci.com/1",
        );
    }

    #[test]
    fn outside_of_ci_and_with_impossible_values_nothing_is_said() {
        check([("GITHUB_SHA", "c1")], "", "", "");
        check(
            [
                ("CIRCLECI", "true"),
                ("CIRCLE_SHA1", "a\nb"),
                ("CIRCLE_BUILD_URL", "javascript:1"),
            ],
            "",
            "",
            "",
        );
        check([("CIRCLECI", "true")], "", "", "");
    }
}
