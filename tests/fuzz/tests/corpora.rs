//! Every corpus through its target: what was found once stays found.

use std::{collections::BTreeSet, fs, path::Path};

use keyward_fuzz::TARGETS;

fn corpora() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora"))
}

#[test]
fn what_is_in_the_corpora_breaks_nothing() {
    for (name, target) in TARGETS {
        let mut files = 0;
        for file in fs::read_dir(corpora().join(name)).unwrap() {
            let path = file.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            files += 1;
        }
        assert!(files > 3, "{name} has no corpus");
    }
}

#[test]
fn every_target_has_a_corpus_and_a_program_for_lib_fuzzer() {
    let names = |directory: &Path| -> BTreeSet<String> {
        let files = fs::read_dir(directory).unwrap();
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let expected: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(corpora()), expected);
    assert_eq!(names(&corpora().join("../libfuzzer/fuzz_targets")), expected);
}
