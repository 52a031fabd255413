//! Makes a folder of seeds for each target out of real files: `seeds FIXTURES OUT`. Prints the
//! targets' names, for whoever runs them.

use std::fs;
use std::path::PathBuf;

use dist_inspect_fuzz::{TARGETS, files};

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(fixtures), Some(out)) = (arguments.next(), arguments.next()) else {
        panic!("usage: seeds FIXTURES OUT");
    };
    let files = files(&fixtures);
    for target in TARGETS {
        let folder = out.join(target.name);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (number, file) in files.iter().enumerate() {
            for (part, seed) in target.seeds(file).into_iter().enumerate() {
                fs::write(folder.join(format!("{number}-{part}")), seed).expect("a seed can be written");
            }
        }
        println!("{}", target.name);
    }
}
