//! Inspection in child processes, which are this very program: `main` begins as that of `dist` does.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use dist_inspect::{ChildInspector, InProcess, Inspection, Inspector as _, Verdict, run_if_inspector};
use dist_model::Timestamp;
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = "/proc/self/exe";
const MEMORY: u64 = 512 << 20;
const TIME: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    run_if_inspector().unwrap_or_else(run_tests)
}

fn run_tests() -> ExitCode {
    let tests: [(&str, fn()); 7] = [
        (
            "a_child_finds_what_this_process_finds",
            a_child_finds_what_this_process_finds,
        ),
        ("many_files_are_inspected_at_once", many_files_are_inspected_at_once),
        (
            "a_program_that_is_no_inspector_is_a_crash",
            a_program_that_is_no_inspector_is_a_crash,
        ),
        (
            "a_child_that_was_killed_is_replaced",
            a_child_that_was_killed_is_replaced,
        ),
        (
            "a_file_that_ends_its_child_hides_no_other",
            a_file_that_ends_its_child_hides_no_other,
        ),
        ("a_child_without_time_is_a_finding", a_child_without_time_is_a_finding),
        ("any_name_reaches_the_child", any_name_reaches_the_child),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn inspect(children: &ChildInspector, file: &File, name: &str) -> Inspection {
    children.inspect(file, name, now()).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000)
}

fn apk() -> File {
    File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dist/hello-1.0.0.apk")).unwrap()
}

/// The codes of what was found.
fn codes(inspection: &Inspection) -> Vec<&str> {
    let findings = &inspection.report.findings;
    findings.iter().map(|finding| &*finding.code).collect()
}

fn a_child_finds_what_this_process_finds() {
    let children = ChildInspector::of_this_program();
    for (file, name) in [(apk(), "a.apk"), (apk(), "a.ipa"), (File::open(PROGRAM).unwrap(), "a")] {
        let here = InProcess.inspect(&file, name, now()).unwrap();
        assert_eq!(inspect(&children, &file, name), here, "{name}");
    }
}

fn many_files_are_inspected_at_once() {
    let children = ChildInspector::of_this_program();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(inspect(&children, &apk(), "a.apk").report.format.as_str(), "apk"));
        }
    });
}

fn a_program_that_is_no_inspector_is_a_crash() {
    for program in ["/bin/true", "/bin/cat"] {
        let found = inspect(&ChildInspector::new(program, MEMORY, TIME), &apk(), "a.apk");
        assert_eq!(
            (codes(&found), found.report.verdict),
            (vec!["inspection.crashed"], Verdict::Warning)
        );
    }
    let children = ChildInspector::new("/nonexistent", MEMORY, TIME);
    assert!(children.inspect(&apk(), "a.apk", now()).is_err());
}

fn a_child_that_was_killed_is_replaced() {
    let children = ChildInspector::of_this_program();
    let before = inspect(&children, &apk(), "a.apk");
    for id in children.idle_processes() {
        kill_process(Pid::from_raw(id.cast_signed()).unwrap(), Signal::KILL).unwrap();
    }
    assert_eq!(inspect(&children, &apk(), "a.apk"), before);
}

/// An app whose resources are 60 MB of zeros, which are read as one.
fn large_apk(folder: &Path) -> PathBuf {
    let path = folder.join("large.apk");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("AndroidManifest.xml", stored).unwrap();
    zip.start_file("resources.arsc", stored).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(60 << 20), &mut zip).unwrap();
    zip.finish().unwrap();
    path
}

fn a_file_that_ends_its_child_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let large = File::open(large_apk(folder.path())).unwrap();
    let children = ChildInspector::new(PROGRAM, 64 << 20, TIME);
    let alone = inspect(&children, &apk(), "a.apk");
    assert_eq!(
        codes(&alone),
        codes(&InProcess.inspect(&apk(), "a.apk", now()).unwrap())
    );
    assert_eq!(codes(&inspect(&children, &large, "large.apk")), ["inspection.crashed"]);
    assert_eq!(inspect(&children, &apk(), "a.apk"), alone);
}

fn a_child_without_time_is_a_finding() {
    let children = ChildInspector::new(PROGRAM, MEMORY, Duration::ZERO);
    assert_eq!(codes(&inspect(&children, &apk(), "a.apk")), ["inspection.timed_out"]);
}

fn any_name_reaches_the_child() {
    let children = ChildInspector::of_this_program();
    for name in ["", "\u{1}", "a\nb\0.apk", "\u{fffd}"].map(|name| name.repeat(255)) {
        let here = InProcess.inspect(&apk(), &name, now()).unwrap();
        assert_eq!(inspect(&children, &apk(), &name), here);
    }
}
