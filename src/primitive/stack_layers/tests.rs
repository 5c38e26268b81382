use super::*;
use std::fs;

#[test]
fn versions_are_compared_as_numbers() {
    assert_eq!(version("6.12.38+deb13-cloud-amd64"), Some((6, 12)));
    assert_eq!(version("5.9-rc1"), Some((5, 9)));
    assert!(version("5.9.1") < Some((5, 11)) && version("5.15") > Some((5, 11)));
}

/// Runs `test` in a child with mounts of its own; the options are those of an overlay that its user may mount.
fn with_own_mounts(test: impl FnOnce(&str)) {
    let root = nix::unistd::geteuid().is_root();
    crate::sys::testing::with_own_mounts(|| {
        test(if root { ",redirect_dir=off,volatile" } else { ",userxattr,volatile" })
    });
}

fn layers(temp: &Path, count: usize, name: &str) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = (0..count).map(|n| temp.join(format!("{name}-{n:064}"))).collect();
    for (n, layer) in all.iter().enumerate() {
        fs::create_dir(layer).unwrap();
        fs::write(layer.join("which"), n.to_string()).unwrap();
        fs::write(layer.join(format!("only-{n}")), "").unwrap();
    }
    all
}

#[test]
fn a_hundred_layers_and_awkward_names_are_stacked() {
    for (count, name) in [(1, "layer"), (100, "layer"), (3, "a:b,c\\d")] {
        let temp = tempfile::tempdir().unwrap();
        let layers = layers(temp.path(), count, name);
        let directory = temp.path().join("containers,one/0123456789ab");
        make_directories(directory.parent().unwrap(), &directory, false).unwrap();
        let here = std::env::current_dir().unwrap();
        with_own_mounts(|flags| {
            mount(&directory, &layers, flags).unwrap();
            assert_eq!(std::env::current_dir().unwrap(), here);
            let merged = directory.join("merged");
            assert_eq!(fs::read_to_string(merged.join("which")).unwrap(), "0", "the first layer is the topmost");
            assert!(merged.join(format!("only-{}", count - 1)).exists(), "the last layer is there");
            fs::write(merged.join("which"), "written").unwrap();
            fs::remove_file(merged.join("only-0")).unwrap();
        });
        assert_eq!(fs::read_to_string(layers[0].join("which")).unwrap(), "0", "a layer is never written");
        assert_eq!(fs::read_to_string(directory.join("upper/which")).unwrap(), "written");
        let made = Made { directory: Some(directory.clone()), ..Made::default() };
        StackLayers.undo(&made).unwrap();
        assert!(!directory.exists());
        StackLayers.undo(&made).unwrap();
    }
}

#[test]
fn a_missing_layer_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("containers/0123456789ab");
    make_directories(directory.parent().unwrap(), &directory, false).unwrap();
    let gone = vec![temp.path().join("gone")];
    with_own_mounts(|flags| {
        let e = explain(mount(&directory, &gone, flags).unwrap_err(), &directory, &gone, false);
        assert!(e.why.as_deref().unwrap().contains("gone") && e.hint.is_some(), "{e}");
    });
}
