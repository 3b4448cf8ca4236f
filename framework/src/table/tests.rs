use super::*;

fn sample() -> Table {
    Table::new("t", "A table", &["cell", "hidden", "accuracy"])
        .row(("leaky, \"rnn\"", 500, 0.123456789012345))
        .row(("gru", 64, f64::INFINITY))
        .row(("lstm", 7, None::<f64>))
}

#[test]
fn csv_keeps_every_digit_and_quotes_what_needs_it() {
    let csv = sample().to_csv().expect("rectangular");
    assert_eq!(csv, "cell,hidden,accuracy\n\"leaky, \"\"rnn\"\"\",500,0.123456789012345\ngru,64,inf\nlstm,7,\n");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let first = reader.records().next().expect("a row").expect("reads");
    assert_eq!(first[2].parse::<f64>().expect("number"), 0.123456789012345);
}

#[test]
fn text_aligns_numbers_to_the_right() {
    assert_eq!(
        sample().to_text(),
        "A table\ncell          hidden  accuracy\n────────────  ──────  ────────\n\
         leaky, \"rnn\"     500    0.1235\ngru               64       inf\nlstm               7         –\n"
    );
}

#[test]
fn json_round_trips_and_ragged_rows_are_refused() {
    let json = serde_json::to_string(&sample()).expect("serialises");
    assert_eq!(serde_json::from_str::<Table>(&json).expect("reads"), sample());
    let error = sample().row((1, 2)).to_csv().expect_err("ragged");
    assert_eq!(error.to_string(), "row 3 of table 't' has shape 2 values, expected 3 values");
}

#[test]
fn short_numbers_have_four_digits() {
    let shown = [0.0, 1.0, 123456.7, 0.00012345, 1e-9, -2.5e7, 99.999].map(short);
    assert_eq!(shown, ["0", "1", "123457", "0.0001234", "1.000e-9", "-2.500e7", "100"]);
}
