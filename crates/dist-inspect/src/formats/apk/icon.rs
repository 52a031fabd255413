//! The icon of an app: the densest picture of it that is made of pixels.

use std::collections::BTreeSet;

use super::manifest::Manifest;
use crate::archive::zip::Zip;
use crate::parse::picture;
use crate::parse::resources::{ANY_DENSITY, Element, MEDIUM_DENSITY, Table, Value};
use crate::{Budget, Icon, Refusal};

/// How many references lie between an icon and its pictures.
const DEPTH: u32 = 5;
/// How many pictures are told apart, and how many tried.
const PICTURES: usize = 256;
const TRIED: usize = 4;
/// How long a picture or a drawing may be, in bytes.
const PICTURE_BYTES: u64 = 8 << 20;
const DRAWING_BYTES: u64 = 1 << 20;
/// `android:drawable`
const DRAWABLE: u32 = 0x0101_0199;

/// Where pictures are found: the files of a package or of a module.
pub(in crate::formats) struct Files<'a> {
    pub(in crate::formats) zip: &'a Zip<'a>,
    /// What stands before their paths.
    pub(in crate::formats) folder: &'static str,
    /// How their XML is read.
    pub(in crate::formats) read_xml: fn(&[u8], &Budget) -> Result<Element, Refusal>,
    pub(in crate::formats) budget: &'a Budget,
}

/// The pictures that were found, with their densities, and the resources that were looked at: each
/// once, since references may go round in circles.
#[derive(Default)]
struct Found {
    pictures: Vec<(u16, String)>,
    resources: BTreeSet<u32>,
}

impl Found {
    fn is_new(&mut self, id: u32) -> bool {
        self.resources.len() < PICTURES && self.resources.insert(id)
    }
}

impl Files<'_> {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Refusal> {
        let path = [self.folder, path].concat();
        let member = self.zip.find(path.as_bytes());
        let member = member.ok_or_else(|| Refusal::malformed("resources", "a file is missing"))?;
        self.zip.read(&member.deflated_unless_stored(), limit)
    }

    /// The app's icon; `None` where it has none of pixels.
    ///
    /// # Errors
    /// What exceeds the limits; damaged pictures are passed over.
    pub(in crate::formats) fn icon(&self, manifest: &Manifest<'_>) -> Result<Option<Icon>, Refusal> {
        for icon in manifest.icons() {
            let mut found = Found::default();
            self.gather(&manifest.table, icon, 0, MEDIUM_DENSITY, &mut found)?;
            found.pictures.sort_by_key(|(density, _)| std::cmp::Reverse(*density));
            for (_, path) in found.pictures.iter().take(TRIED) {
                match self
                    .read(path, PICTURE_BYTES)
                    .and_then(|bytes| picture::icon(&bytes, self.budget))
                {
                    Ok(icon) => return Ok(Some(icon)),
                    Err(stop @ (Refusal::Io(_) | Refusal::Time { .. } | Refusal::Bytes { .. })) => return Err(stop),
                    Err(_) => {}
                }
            }
        }
        Ok(None)
    }

    /// Adds the pictures that `value` stands for, with their densities.
    fn gather(
        &self,
        table: &Table<'_>,
        value: &Value,
        depth: u32,
        density: u16,
        found: &mut Found,
    ) -> Result<(), Refusal> {
        match value {
            Value::Text(path) if is_picture(path) => found.pictures.push((density, path.clone())),
            Value::Reference(id) if depth < DEPTH && found.is_new(*id) => {
                let values = table.values(*id)?;
                for (config, value) in values.iter().filter(|(config, _)| config.is_plain && config.is_neutral) {
                    if found.pictures.len() >= PICTURES {
                        break;
                    }
                    let own = if matches!(config.density, 0 | ANY_DENSITY..) {
                        density
                    } else {
                        config.density
                    };
                    self.gather(table, value, depth + 1, own, found)?;
                }
                if found.pictures.is_empty() && depth == 0 {
                    self.gather_foregrounds(
                        table,
                        &values.into_iter().map(|(_, value)| value).collect::<Vec<_>>(),
                        found,
                    )?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the pictures in the foreground of adaptive icons, which are drawings of two layers.
    fn gather_foregrounds(&self, table: &Table<'_>, drawings: &[Value], found: &mut Found) -> Result<(), Refusal> {
        for drawing in drawings.iter().take(TRIED) {
            let Value::Text(path) = drawing else { continue };
            let read = self
                .read(path, DRAWING_BYTES)
                .and_then(|bytes| (self.read_xml)(&bytes, self.budget));
            let Ok(drawing) = read else { continue };
            for layer in drawing
                .children_named("foreground")
                .filter_map(|layer| layer.get(DRAWABLE))
            {
                self.gather(table, layer, 1, MEDIUM_DENSITY, found)?;
            }
        }
        Ok(())
    }
}

fn is_picture(path: &str) -> bool {
    [".png", ".webp"]
        .iter()
        .any(|ending| path.len() > ending.len() && path.ends_with(ending))
}
