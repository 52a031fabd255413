//! `cargo xtask image`: the container images, built from this clone alone.
//!
//! There is no base image: an image is the static program by its two names, root certificates and a
//! name for its user. `deploy/Dockerfile` says what it is, and takes it from `target/image/context/`,
//! which is made here.

mod check;
mod podman;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::builder::PossibleValuesParser;

use crate::ship::package::{fresh_folder, install_programs};
use crate::ship::{self, Effort, Origin, PLATFORMS, Platform, VERSION, sbom};
use crate::{shell, tools};

pub use check::Verdict;

const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// The most that an image may have, in bytes, unpacked.
const LARGEST: u64 = 25_000_000;
/// Where Debian and its kin keep the root certificates.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// The user that the image runs as, so that programs which ask for a name find one.
const PASSWD: &str = "root:x:0:0::/:/\ndist:x:10001:10001::/data:/\n";
const GROUP: &str = "root:x:0:\ndist:x:10001:\n";

/// What the task takes.
#[derive(clap::Args)]
pub struct Args {
    /// Only this platform [default: all]
    #[arg(long, value_name = "ARCH", value_parser = PossibleValuesParser::new(PLATFORMS.map(|platform| platform.oci_arch)))]
    platform: Option<String>,
    /// Run the image, and use it
    #[arg(long)]
    check: bool,
    /// Build in less time what is larger and slower, to see that it works
    #[arg(long)]
    trial: bool,
    #[command(flatten)]
    origin: Origin,
}

/// Builds the images, and tries each where asked to.
pub fn run(args: &Args) -> Result<()> {
    let effort = if args.trial { Effort::Trial } else { Effort::Final };
    for platform in &PLATFORMS {
        if args.platform.as_deref().is_none_or(|only| only == platform.oci_arch) {
            let image = build(platform, effort, &args.origin)?;
            if args.check {
                // Where it cannot be told, the check says what came of that.
                let _ = tools::ensure_emulation(platform);
                check::run(platform, &image)?.told()?;
            }
        }
    }
    Ok(())
}

/// Builds an image for this machine in little time and tries it, as far as the machine lets containers
/// run.
pub fn check_here() -> Result<Verdict> {
    let here = |platform: &&Platform| platform.arch == std::env::consts::ARCH;
    let platform = PLATFORMS
        .iter()
        .find(here)
        .context("no image is built for this processor")?;
    check::run(platform, &build(platform, Effort::Trial, &Origin::default())?)
}

/// A built image.
struct Image {
    /// By which podman and buildah know it.
    name: String,
    /// The program in it.
    program: PathBuf,
}

fn build(platform: &Platform, effort: Effort, origin: &Origin) -> Result<Image> {
    tools::ensure_containers()?;
    let program = platform.build(effort)?;
    let context = prepare(platform, &program, origin)?;
    let name = format!("localhost/dist:{VERSION}-{}", platform.oci_arch);
    let mut build = shell::command("buildah");
    // Nothing runs while it is built, and the OCI format knows no health check.
    build.args([
        "bud",
        "--quiet",
        "--isolation=chroot",
        "--format=docker",
        "--layers=false",
    ]);
    build.args(["--platform", &format!("linux/{}", platform.oci_arch)]);
    // Times of files and of the image are the commit's, so that a build can be repeated.
    build.args(["--timestamp", &origin.epoch()?.to_string(), "--tag", &name]);
    for (name, value) in [
        ("VERSION", VERSION.to_owned()),
        ("REVISION", ship::revision()?),
        ("CREATED", origin.time()?),
    ] {
        build.args(["--build-arg", &format!("{name}={value}")]);
    }
    build
        .arg("--file")
        .arg(shell::root().join("deploy/Dockerfile"))
        .arg(&context);
    let id = shell::read(&mut build)?;
    let image = Image { name, program };
    if effort == Effort::Trial {
        return Ok(image);
    }
    let archive = save(platform, &image)?;
    let size = size_of(&context.join(platform.oci_arch))? + size_of(&context.join("common"))?;
    println!(
        "{}: {size} bytes, {} packed in {}\n  id {}",
        image.name,
        fs::metadata(&archive)?.len(),
        archive.display(),
        id.trim()
    );
    ensure!(size < LARGEST, "the image has {size} bytes, and may have {LARGEST}");
    Ok(image)
}

/// Lays out what goes into the image, with the modes that it has there.
fn prepare(platform: &Platform, program: &Path, origin: &Origin) -> Result<PathBuf> {
    let context = shell::root().join("target/image/context");
    let common = fresh_folder(&context.join("common"))?;
    fs::create_dir_all(common.join("etc/ssl/certs"))?;
    fs::write(common.join("etc/passwd"), PASSWD)?;
    fs::write(common.join("etc/group"), GROUP)?;
    fs::copy(Path::new("/").join(CERTIFICATES), common.join(CERTIFICATES))?;
    fs::create_dir(common.join("tmp"))?;

    let own = fresh_folder(&context.join(platform.oci_arch))?;
    let documents = own.join("usr/share/doc/dist");
    fs::create_dir_all(&documents)?;
    fs::create_dir(own.join("usr/bin"))?;
    install_programs(program, &own.join("usr/bin"))?;
    fs::copy(shell::root().join("LICENSE"), documents.join("LICENSE"))?;
    let bill = serde_json::to_string_pretty(&sbom::of(platform, origin)?)?;
    fs::write(documents.join("sbom.cdx.json"), bill + "\n")?;

    let data = fresh_folder(&context.join("data"))?;
    // What the umask took is no part of an image.
    for folder in [&common, &own, &data] {
        shell::read(shell::command("chmod").args(["-R", "u=rwX,go=rX"]).arg(folder))?;
    }
    fs::set_permissions(common.join("tmp"), Permissions::from_mode(0o1777))?;
    Ok(context)
}

/// Writes the image to a file that `docker load` and `podman load` take.
fn save(platform: &Platform, image: &Image) -> Result<PathBuf> {
    let archive = shell::root().join(format!("target/image/dist-{VERSION}-image-{}.tar", platform.oci_arch));
    let packed = archive.with_extension("tar.gz");
    for old in [&archive, &packed] {
        if old.exists() {
            fs::remove_file(old)?;
        }
    }
    let mut push = shell::command("buildah");
    let place = format!("docker-archive:{}:dist:latest", archive.display());
    shell::read(push.args(["push", "--quiet", &image.name, &place]))?;
    let mut gzip = shell::command("gzip");
    shell::run(gzip.args(["--best", "--no-name"]).arg(&archive), BUILD_LIMIT)?;
    Ok(packed)
}

/// The bytes of all files below a folder.
fn size_of(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() {
            size_of(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(size)
}
