//! The parsers of Apple's formats, on real bytes that are changed after they were unpacked: a changed
//! archive would not get past its checksums.

use std::io::{Read as _, Write as _};
use std::path::Path;

use dist_inspect::archive::zip::Zip;
use dist_inspect::parse::code_signature::{CodeSignature, special};
use dist_inspect::parse::disk::FileSystem;
use dist_inspect::parse::profile::Profile;
use dist_inspect::parse::skim::Skimmed;
use dist_inspect::parse::udif::{Disk, Trailer};
use dist_inspect::parse::xar::Xar;
use dist_inspect::parse::{car, icns, macho};
use dist_inspect::source::{Section, Source};
use dist_inspect::{Budget, Limits, inspect};
use libtest_mimic::{Failed, Trial};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{context, ensure};

/// How many mutants there are of each.
const CASES: u32 = 80;
/// How much of a file system is read, in bytes.
const VOLUME: u64 = 6 << 20;

type Reader = fn(&[u8]);

/// One trial for each kind of bytes.
pub fn trials(folder: &'static Path) -> Vec<Trial> {
    type Pieces = fn(&Path) -> Option<Vec<u8>>;
    let kinds: [(&str, Pieces, Reader); 10] = [
        ("executable", executable, read_executable),
        ("code signature", signature, read_signature),
        ("profile", profile, |bytes| drop(Profile::parse(bytes, &budget()))),
        ("icns", icon, |bytes| {
            drop(icns::icon(bytes, &budget()));
        }),
        ("catalogue", catalogue, |bytes| {
            drop(car::icon(bytes, &["AppIcon"], &budget()));
        }),
        (
            "xar",
            |at| std::fs::read(at.join("macos/gen-rcodesign-signed.pkg")).ok(),
            read_xar,
        ),
        (
            "disk image",
            |at| std::fs::read(at.join("macos/homebrew-container-apfs.dmg")).ok(),
            read_image,
        ),
        (
            "HFS+",
            |at| volume(&at.join("macos/gen-rcodesign-signed.dmg")),
            read_volume,
        ),
        (
            "APFS",
            |at| volume(&at.join("macos/homebrew-container-apfs.dmg")),
            read_volume,
        ),
        (
            "FAT",
            |at| volume(&at.join("macos/appleplatform-example.dmg")),
            read_volume,
        ),
    ];
    let trial = |(name, pieces, read): (&str, Pieces, Reader)| {
        Trial::test(format!("mutated: {name}"), move || {
            mutate(&pieces(folder).ok_or("there are no such bytes")?, read)
        })
    };
    let mut trials: Vec<Trial> = kinds.into_iter().map(trial).collect();
    trials.push(Trial::test(
        "an app that was changed after it was signed is told",
        || change_signed(folder),
    ));
    trials.push(Trial::test(
        "an image and a package that were changed after they were signed are told",
        || change_images(folder),
    ));
    trials.push(Trial::test(
        "the icon in a catalogue is the one in the icns beside it",
        || compare_icons(folder),
    ));
    trials
}

/// Xcode writes the same picture to both.
fn compare_icons(folder: &Path) -> Result<(), Failed> {
    let bytes = catalogue(folder).ok_or("there is no catalogue")?;
    let budget = budget();
    let found = car::icon(&bytes, &["AppIcon"], &budget).map_err(|refusal| refusal.to_string())?;
    let beside =
        icns::icon(&icon(folder).ok_or("there is no icns")?, &budget).map_err(|refusal| refusal.to_string())?;
    let (found, beside) = (found.ok_or("no icon")?, beside.ok_or("no icon")?);
    ensure((found.width, found.height) == (512, 512), || {
        format!("{} px", found.width)
    })?;
    let pixels = |png: &[u8]| -> Result<Vec<u8>, Failed> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().unwrap_or_default()];
        reader.next_frame(&mut pixels)?;
        Ok(pixels)
    };
    // The catalogue has more sizes; the edges differ from one to the other.
    let (step, width) = ((found.width / beside.width) as usize, found.width as usize);
    let (found, beside) = (pixels(&found.png)?, pixels(&beside.png)?);
    let (found, beside) = (found.as_chunks::<4>().0, beside.as_chunks::<4>().0);
    let rows = found.chunks_exact(width).step_by(step);
    let found = rows.flat_map(|row| row.iter().step_by(step));
    let is_far =
        |(one, other): &(&[u8; 4], &[u8; 4])| one.iter().zip(*other).any(|(one, other)| one.abs_diff(*other) > 24);
    let far = found.zip(beside).filter(is_far).count();
    ensure(far * 50 < beside.len(), || {
        format!("{far} of {} pixels differ", beside.len())
    })
}

/// Packs a signed app again: as it is, with another version, with another byte of code, with another
/// resource, and without the list of those.
fn change_signed(folder: &Path) -> Result<(), Failed> {
    let bytes = std::fs::read(folder.join("macos/sparkle-DevSignedApp.zip"))?;
    let budget = budget();
    let zip = Zip::open(&bytes, &budget).map_err(|refusal| refusal.to_string())?;
    let mut is_broken = Vec::new();
    for (changed, place) in [
        ("", 0),
        ("Contents/Info.plist", 600),
        ("MacOS/SignedApp", 8000),
        ("MainMenu.nib", 100),
        ("CodeResources", usize::MAX),
    ] {
        let mut packed = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut packed);
        for member in zip.members().filter(|member| !member.is_folder()) {
            let name = String::from_utf8_lossy(member.name);
            let mut contents = zip.read(&member, 1 << 20).map_err(|refusal| refusal.to_string())?;
            if !changed.is_empty() && name.ends_with(changed) {
                match contents.get_mut(place) {
                    Some(byte) => *byte ^= 1,
                    None => continue,
                }
            }
            let (mut entry, config) = archive.new_file(&name).start()?;
            let mut writer = config.wrap(&mut entry);
            writer.write_all(&contents)?;
            let (_, descriptor) = writer.finish()?;
            entry.finish(descriptor)?;
        }
        archive.finish()?;
        let report = inspect(&packed, "a.zip", &context())?.report;
        is_broken.push(report.findings.iter().any(|finding| finding.code == "signature.broken"));
    }
    ensure(is_broken == [false, true, true, true, true], || {
        format!("broken: {is_broken:?}")
    })
}

/// Changes a byte of what is signed, and of each signature.
fn change_images(folder: &Path) -> Result<(), Failed> {
    let codes = |bytes: &[u8], name| -> Result<Vec<String>, Failed> {
        let report = inspect(&bytes, name, &context())?.report;
        Ok(report.findings.iter().map(|finding| finding.code.to_string()).collect())
    };
    let mut image = std::fs::read(folder.join("macos/gen-rcodesign-signed.dmg"))?;
    image[100] ^= 1;
    let found = codes(&image, "a.dmg")?;
    ensure(found.iter().any(|code| code == "dmg.signature_broken"), || {
        format!("{found:?}")
    })?;
    let package = std::fs::read(folder.join("macos/gen-rcodesign-signed.pkg"))?;
    let budget = budget();
    let xar = Xar::open(&package, &budget).map_err(|refusal| refusal.to_string())?;
    for signature in xar.signatures().map_err(|refusal| refusal.to_string())? {
        let mut changed = package.clone();
        // Padding follows where the message is shorter than the room for it.
        let end = signature.bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default();
        let place = package
            .windows(signature.bytes.len())
            .position(|window| window == signature.bytes);
        changed[place.ok_or("the signature is somewhere")? + end] ^= 1;
        let found = codes(&changed, "a.pkg")?;
        let is_told = found.iter().any(|code| code == "pkg.signature_broken");
        ensure(is_told, || format!("{}: {found:?}", signature.style))?;
    }
    Ok(())
}

/// Reads mutants of `bytes`: some changed, and now and then cut, or with something put in between.
fn mutate(bytes: &[u8], read: Reader) -> Result<(), Failed> {
    // Zeros are mostly room that is not used.
    let used: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let insertion = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let mutant = (prop::collection::vec(change, 1..12), cut, insertion);
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let run = runner.run(&mutant, |(changes, cut, insertion)| {
        let mut mutant = bytes.to_vec();
        for (place, byte) in changes {
            mutant[used[place.index(used.len())]] = byte;
        }
        if let Some(place) = insertion {
            let place = used[place.index(used.len())];
            mutant.splice(place..place, [0xFF, 0xFF, 0xFF]);
        }
        if let Some(place) = cut {
            mutant.truncate(used[place.index(used.len())]);
        }
        read(&mutant);
        Ok(())
    });
    run.map_err(|error| error.to_string().into())
}

fn budget() -> Budget {
    Budget::new(&Limits::default())
}

fn member(archive: &Path, name: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(archive).ok()?;
    let budget = budget();
    let zip = Zip::open(&bytes, &budget).ok()?;
    zip.read(&zip.find(name.as_bytes())?, 64 << 20).ok()
}

fn executable(folder: &Path) -> Option<Vec<u8>> {
    member(
        &folder.join("macos/appinfo-macos.zip"),
        "GuiApp.app/Contents/MacOS/GuiApp",
    )
}

fn signature(folder: &Path) -> Option<Vec<u8>> {
    let bytes = executable(folder)?;
    let slices = macho::slices(&bytes, &budget()).ok()?;
    let section = slices.first()?.code_signature().ok()??;
    section.bytes(0..section.len(), 1 << 20).ok()
}

fn profile(folder: &Path) -> Option<Vec<u8>> {
    std::fs::read(folder.join("ios/appinfo-ios_appstore.mobileprovision")).ok()
}

fn icon(folder: &Path) -> Option<Vec<u8>> {
    let name = "GuiApp.app/Contents/Resources/AppIcon.icns";
    member(&folder.join("macos/appinfo-macos.zip"), name)
}

fn catalogue(folder: &Path) -> Option<Vec<u8>> {
    let name = "GuiApp.app/Contents/Resources/Assets.car";
    member(&folder.join("macos/appinfo-macos.zip"), name)
}

/// The start of the file system in a disk image, which suffices to find its files.
fn volume(image: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(image).ok()?;
    let trailer = Trailer::read(bytes.get(bytes.len() - 512..)?).ok()?;
    let budget = budget();
    let disk = Disk::open(&bytes, &trailer, &budget).ok()?;
    let sections = disk
        .partitions
        .iter()
        .filter_map(|(_, place)| Section::new(&disk, place.clone()).ok());
    let volume = sections
        .into_iter()
        .find(|section| matches!(FileSystem::of(section), Ok(Some(_))))?;
    let start = volume.bytes(0..volume.len().min(VOLUME), VOLUME).ok()?;
    let system = FileSystem::of(&start).ok()??;
    let files = system.files(&start, &budget).ok()?;
    (!files.is_empty()).then_some(start)
}

fn read_executable(bytes: &[u8]) {
    let budget = budget();
    if let Ok(skimmed) = Skimmed::read(bytes, bytes.len() as u64, &budget) {
        for slice in macho::slices(&skimmed, &budget).unwrap_or_default() {
            if let Ok(Some(section)) = slice.code_signature() {
                drop(CodeSignature::read(&section, &budget));
            }
        }
    }
}

fn read_signature(bytes: &[u8]) {
    if let Ok(signature) = CodeSignature::read(&bytes, &budget()) {
        let _ = (signature.cdhash(), signature.is_special(special::INFO, b""));
        if let Ok(Some(message)) = signature.message() {
            let _ = signature.is_signed_directory(&message);
        }
    }
}

/// Also what its table says once it is changed, under the old header.
fn read_xar(bytes: &[u8]) {
    read_archive(bytes);
    let mut toc = Vec::new();
    let table = bytes.get(28..).unwrap_or_default();
    let _ = flate2::read::ZlibDecoder::new(table)
        .take(1 << 20)
        .read_to_end(&mut toc);
    if let Some(byte) = bytes.first().filter(|_| !toc.is_empty()) {
        let place = toc.len() * usize::from(*byte) / 256;
        toc[place] ^= 2;
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    if encoder.write_all(&toc).is_ok()
        && let Ok(packed) = encoder.finish()
    {
        let mut archive = b"xar!\0\x1C\0\x01".to_vec();
        archive.extend((packed.len() as u64).to_be_bytes());
        archive.extend([0; 12]);
        archive.extend(packed);
        read_archive(&archive);
    }
}

fn read_archive(bytes: &[u8]) {
    let budget = budget();
    if let Ok(xar) = Xar::open(&bytes, &budget) {
        for file in xar.files().unwrap_or_default() {
            drop(xar.read(&file, 1 << 20));
        }
        drop(xar.signatures());
    }
}

fn read_image(bytes: &[u8]) {
    drop(inspect(&bytes, "a.dmg", &context()));
}

fn read_volume(bytes: &[u8]) {
    let budget = budget();
    let volume = &bytes;
    if let Ok(Some(system)) = FileSystem::of(volume)
        && let Ok(files) = system.files(volume, &budget)
    {
        for file in files.values().take(20) {
            if let Ok(contents) = file.open(volume, &budget) {
                drop(contents.bytes(0..contents.len().min(1 << 16), 1 << 16));
            }
        }
    }
}
