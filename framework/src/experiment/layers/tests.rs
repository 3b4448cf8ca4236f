use super::*;

#[test]
fn flags_win_over_the_file_and_another_component_drops_its_options() {
    let mut layers = Layers::from_toml("seed = 3\n[cell]\ntype = \"lstm\"\nhidden = 7\n").expect("valid");
    layers.set_text("cell.hidden=9").expect("a path");
    let experiment = layers.experiment().expect("valid");
    assert_eq!((experiment.seed, experiment.cell.options()["hidden"].as_u64()), (3, Some(9)));
    layers.component("cell", "gru");
    assert_eq!(layers.experiment().expect("valid").cell.options().as_object().map(Map::len), Some(0));
}

#[test]
fn a_file_is_laid_over_those_it_extends() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    let read = |name: &str| Layers::read(&folder.path().join(name));
    write("base.toml", "seed = 3\n[cell]\ntype = \"lstm\"\nhidden = 7\n[training]\nbatch = 9\nupdates = 50\n");
    write("wide.toml", "extends = \"base.toml\"\n[cell]\nhidden = 70\n[training]\nbatch = 10\n");
    write("other.toml", "extends = [\"base.toml\", \"wide.toml\"]\nseed = 4\n[cell]\ntype = \"gru\"\n");
    let wide = read("wide.toml").expect("reads").experiment().expect("valid");
    assert_eq!((wide.cell.name.as_str(), wide.cell.options()["hidden"].as_u64()), ("lstm", Some(70)));
    assert_eq!((wide.seed, wide.training.batch, wide.training.updates), (3, 10, 50));
    let other = read("other.toml").expect("reads").experiment().expect("valid");
    assert_eq!((other.cell.name.as_str(), other.seed, other.training.batch), ("gru", 4, 10));
    assert_eq!(other.cell.options().as_object().map(Map::len), Some(0), "options of the LSTM are dropped");

    write("circle.toml", "extends = \"back.toml\"");
    write("back.toml", "extends = \"circle.toml\"");
    write("astray.toml", "extends = \"nowhere.toml\"");
    write("number.toml", "extends = 3");
    for (name, part) in [
        ("circle.toml", "extends itself"),
        ("astray.toml", "nowhere.toml cannot be read"),
        ("number.toml", "no file name"),
    ] {
        let message = read(name).expect_err("refused").to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn plugins_are_found_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("writable");
    std::fs::write(inner.join("base.toml"), "plugins = [\"libx.so\", \"/lib/y.so\"]").expect("writable");
    std::fs::write(folder.path().join("top.toml"), "extends = \"inner/base.toml\"").expect("writable");
    let layers = Layers::read(&folder.path().join("top.toml")).expect("reads");
    assert_eq!(layers.plugins(), [inner.join("libx.so"), PathBuf::from("/lib/y.so")]);
    assert_eq!(layers.experiment().expect("valid").plugins, layers.plugins());
}

#[test]
fn options_of_a_component_nobody_named_go_to_the_default_one() {
    let mut layers = Layers::new();
    layers.set_text("task.first=2").expect("a path");
    assert_eq!(layers.experiment().expect("valid").task.name, Experiment::default().task.name);
}

#[test]
fn errors_name_the_field() {
    let mut layers = Layers::new();
    layers.set_text("training.batch=many").expect("a path");
    let message = layers.experiment().expect_err("text for a number").to_string();
    assert!(message.starts_with("training.batch is wrong"), "{message}");
    assert!(Layers::new().set_text("cell.hidden").expect_err("no equals sign").to_string().contains("PATH=VALUE"));
    let unknown = Layers::from_toml("sed = 3").expect("valid").experiment().expect_err("typo").to_string();
    assert!(unknown.contains("sed") && unknown.contains("seed"), "{unknown}");
}

#[test]
fn flag_values_are_toml_or_text() {
    assert_eq!(flag_value("1e-3"), serde_json::json!(1e-3));
    assert_eq!(flag_value("[1, 2]"), serde_json::json!([1, 2]));
    assert_eq!(flag_value("cpu"), serde_json::json!("cpu"));
    assert_eq!(flag_value("{ type = \"sgd\" }"), serde_json::json!({"type": "sgd"}));
}
