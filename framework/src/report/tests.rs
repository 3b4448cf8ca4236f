use super::*;
use crate::figure::{Axis, HeatMap, Line, Panel, Rule, Scatter, Trajectory3};

const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"q\" {{ title }}";

fn evil() -> Report {
    let line = Line::of([1.0, 2.0]).label(EVIL);
    let figure = Figure::new("f", EVIL).caption(EVIL).panel(Panel::new(EVIL).x(EVIL).y(EVIL).mark(line));
    let section = Section::new(EVIL)
        .paragraph(EVIL)
        .fact(EVIL, EVIL)
        .table(Table::new(EVIL, EVIL, &[EVIL]).row([EVIL]))
        .figure(figure)
        .code(EVIL)
        .note(EVIL);
    Report::new(EVIL).subtitle(EVIL).section(section)
}

#[test]
fn nothing_in_the_data_can_break_out() {
    let html = evil().to_html().expect("renders");
    let ours = html.replacen(&plotly_script(), "", 1);
    assert_eq!(ours.matches("<script").count(), 2, "one script of ours and the data of one figure");
    assert_eq!(ours.matches("</script>").count(), 2);
    assert!(!ours.contains("<img") && !ours.contains("<script>alert"));
    assert!(ours.contains("&lt;script&gt;alert(1)"), "the text is shown as it is");
    let start = ours.find("type=\"application/json\"").expect("data");
    let data = &ours[start..];
    let json = &data[data.find('>').expect("open") + 1..data.find("</script>").expect("closed")];
    let plot: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(plot["data"][0]["name"], EVIL.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
}

#[test]
fn the_page_holds_plotly_once_and_loads_nothing() {
    let figure = || Figure::new("f", "t").panel(Panel::new("").mark(Line::of([1.0, 2.0])));
    let section = || Section::new("s").figure(figure()).figure(figure());
    let html = Report::new("r").section(section()).section(section()).to_html().expect("renders");
    assert_eq!(html.matches("* plotly.js v").count(), 1);
    assert!(!html.contains("MathJax.js v") && html.len() < 6_000_000, "{} bytes", html.len());
    let ours = html.replacen(&plotly_script(), "", 1);
    for loading in ["src=", "href=\"http", "href=\"//", "url(", "@import", "<link", "fetch("] {
        assert!(!ours.contains(loading), "the page has '{loading}'");
    }
    assert!(ours.contains("default-src 'none'"), "the browser is told to load nothing");
    let plain = Report::new("r").section(Section::new("no figure")).to_html().expect("renders");
    assert!(plain.len() < 20_000, "without a figure the script is left out: {} bytes", plain.len());
}

#[test]
fn plots_have_axes_of_their_own_for_each_panel() {
    let figure = Figure::new("f", "")
        .panel(Panel::new("a").y(Axis::new("loss").log()).mark(Line::of([1.0, f64::NAN, 100.0]).deviation([0.1; 3])))
        .panel(Panel::new("b").mark(HeatMap::new([[0.0, 1.0], [f64::NAN, 3.0]])).mark(Rule::vertical(0.5)))
        .panel(
            Panel::new("c").mark(Trajectory3::new().path([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]).coloured_by([0.0, 5.0])),
        )
        .panels((0..9).map(|_| Panel::new("d").mark(Scatter::new([1.0], [2.0]))));
    let plot = figure.to_plotly();
    let (data, layout) = (&plot["data"], &plot["layout"]);
    assert_eq!(data[0]["y"], serde_json::json!([1.0, null, 100.0]));
    assert_eq!((&data[1]["fill"], &data[1]["legendgroup"]), (&"toself".into(), &data[0]["legendgroup"]));
    assert_eq!(layout["yaxis"]["type"], "log");
    let range = layout["yaxis"]["range"].as_array().expect("range");
    let end = range[1].as_f64().expect("number");
    assert!(end > 2.0 && end < 2.5, "ends of a log axis are powers of ten: {end}");
    assert_eq!((&data[2]["xaxis"], &data[2]["coloraxis"]), (&"x2".into(), &"coloraxis2".into()));
    assert_eq!(data[2]["z"], serde_json::json!([[0.0, 1.0], [null, 3.0]]));
    assert_eq!(layout["shapes"][0]["yref"], "y2 domain");
    assert_eq!((&data[3]["type"], &data[3]["scene"]), (&"scatter3d".into(), &"scene3".into()));
    assert!(layout["scene3"]["domain"]["x"].is_array() && layout["xaxis12"]["domain"].is_array());
    for axis in (1..=12).filter(|axis| *axis != 3) {
        let name = if axis == 1 { "xaxis".to_string() } else { format!("xaxis{axis}") };
        let ends: Vec<f64> =
            layout[&name]["domain"].as_array().expect(&name).iter().filter_map(|end| end.as_f64()).collect();
        assert!(ends[0] >= 0.0 && ends[0] < ends[1] && ends[1] <= 1.0, "{name}: {ends:?}");
    }
}

#[test]
fn long_tables_are_cut_and_say_so() {
    let mut table = Table::new("long", "A long table", &["k", "value"]);
    (0..500).for_each(|k| table.push((k, 1.0 / 3.0)));
    let html = Report::new("r").section(Section::new("s").table(table)).to_html().expect("renders");
    assert!(html.contains("300 more rows") && html.contains("long.csv"));
    assert!(html.contains("title=\"0.3333333333333333\">0.3333<"));
}
