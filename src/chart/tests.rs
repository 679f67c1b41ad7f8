use super::layout::layout;
use super::scene::{Anchor, Frame, Shape, Text};
use super::*;
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::table::RepeatRow;
use crate::terms::{Mark, Phase};
use strum::VariantArray;

fn chart(kind: ChartKind) -> ChartStory {
    ChartStory {
        kind,
        x: "replicas".into(),
        series: Some("input".into()),
        baseline: Vec::new(),
    }
}

fn figure(rows: &[RepeatRow], kind: ChartKind) -> Figure {
    build(&Summary::of(rows), &cifar_story(), &chart(kind)).unwrap()
}

/// All that a figure says, a line for each thing.
fn outline(figure: &Figure) -> String {
    let mut lines = vec![figure.title.clone(), figure.subtitle.clone()];
    for panel in &figure.panels {
        lines.push(format!(
            "{} over {}, {:?}",
            panel.y_label, panel.x_label, panel.x
        ));
        match &panel.content {
            Content::Lines { series, guides } => {
                lines.extend(series.iter().map(series_line));
                lines.extend(guides.iter().map(guide_line));
            }
            Content::Bars { parts, stacks } => lines.extend(stacks.iter().map(|stack| {
                let filled = parts.iter().zip(&stack.parts).filter(|(_, ms)| **ms > 0.0);
                let parts: Vec<_> = filled.map(|(name, ms)| format!("{name} {ms:.1}")).collect();
                format!("  {} {}: {}", stack.group, stack.label, parts.join(", "))
            })),
        }
    }
    lines.extend(figure.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn series_line(series: &LineSeries) -> String {
    let points = series.points.iter().map(|p| {
        let hollow = if p.hollow { " hollow" } else { "" };
        format!("{}: {:.2} [{:.2}, {:.2}]{hollow}", p.x, p.y, p.low, p.high)
    });
    format!(
        "  {}: {}",
        series.name,
        points.collect::<Vec<_>>().join("; ")
    )
}

fn guide_line(guide: &Guide) -> String {
    let points = guide.points.iter().map(|(x, y)| format!("{x}: {y:.1}"));
    let points: Vec<_> = points.collect();
    format!("  {} ({:?}): {}", guide.name, guide.dash, points.join("; "))
}

#[test]
fn throughput_has_an_ideal_line_and_the_ceiling_of_the_pipeline() {
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Scaling)), @"
    cifar_scaling: throughput over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    examples per second, all replicas over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device: 1: 1750.49 [1736.52, 1764.47]; 2: 3362.71 [3335.86, 3389.56]; 4: 4768.52 [4730.45, 4806.59]; 8: 5127.23 [5086.30, 5168.17]
      input on host: 1: 6488.95 [6437.14, 6540.76]; 2: 7075.12 [7018.63, 7131.61]; 4: 7142.26 [7085.23, 7199.28]; 8: 7138.25 [7081.26, 7195.24]
      ideal for input on host (Dashed): 1: 6489.0; 2: 12977.9; 4: 25955.8; 8: 51911.6
      pipeline alone, input on host (Dotted): 1: 7144.3; 2: 7144.3; 4: 7144.3; 8: 7144.3
    ");
}

#[test]
fn speedup_stands_beside_efficiency() {
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Speedup)), @"
    cifar_scaling: speedup and efficiency over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    speedup (times the baseline) over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device: 1: 1.00 [1.00, 1.00]; 2: 1.92 [1.92, 1.92]; 4: 2.72 [2.72, 2.72]; 8: 2.93 [2.93, 2.93]
      input on host: 1: 1.00 [1.00, 1.00]; 2: 1.09 [1.09, 1.09]; 4: 1.10 [1.10, 1.10]; 8: 1.10 [1.10, 1.10]
      ideal (Dashed): 1: 1.0; 2: 2.0; 4: 4.0; 8: 8.0
    efficiency (%) over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device: 1: 100.00 [100.00, 100.00]; 2: 96.05 [96.05, 96.05]; 4: 68.10 [68.10, 68.10]; 8: 36.61 [36.61, 36.61]
      input on host: 1: 100.00 [100.00, 100.00]; 2: 54.52 [54.52, 54.52]; 4: 27.52 [27.52, 27.52]; 8: 13.75 [13.75, 13.75]
      ideal (Dashed): 1: 100.0; 2: 100.0; 4: 100.0; 8: 100.0
    note: baseline of each series: its cell with 1 replica · best single device: 1 device, input on host
    ");
}

#[test]
fn phases_are_milliseconds_of_a_step() {
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Phases)), @"
    cifar_scaling: where a step goes
    test-machine · n = 6 · mean over replicas and repeats
    milliseconds per step over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device 1: distort 57.0, forward 6.4, backward 9.7
      input on device 2: distort 60.1, forward 6.4, backward 9.6
      input on device 4: distort 91.3, forward 6.4, backward 9.7
      input on device 8: distort 181.7, forward 7.2, backward 10.8
      input on host 1: input wait 2.0, forward 7.1, backward 10.7
      input on host 2: input wait 19.5, forward 6.7, backward 10.0
      input on host 4: input wait 55.2, forward 6.6, backward 9.9
      input on host 8: input wait 126.2, forward 6.9, backward 10.3
    ");
}

#[test]
fn elapsed_time_is_ideally_flat_or_inverse() {
    let weak = [1, 2].map(|r| {
        RowBuilder::cifar10(r)
            .rate(1000.0 * f64::from(r))
            .repeats(2)
    });
    insta::assert_snapshot!(outline(&figure(&weak.concat(), ChartKind::Elapsed)), @"
    cifar_scaling: elapsed time over replicas
    test-machine · n = 2 · median, bars: lowest and highest repeat (too few for an interval)
    seconds for all measured steps, start and prefill apart over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0])
      input on host: 1: 12.81 [12.75, 12.88]; 2: 12.81 [12.75, 12.88]
      ideal: flat (Dashed): 1: 12.8; 2: 12.8
    ");
    let strong = [1, 2].map(|r| RowBuilder::cifar10(r).strong(128).rate(1000.0).repeats(2));
    insta::assert_snapshot!(outline(&figure(&strong.concat(), ChartKind::Elapsed)), @"
    cifar_scaling: elapsed time over replicas
    test-machine · n = 2 · median, bars: lowest and highest repeat (too few for an interval)
    seconds for all measured steps, start and prefill apart over replicas (strong scaling: global batch fixed), Numbers([1.0, 2.0])
      input on host: 1: 12.81 [12.75, 12.88]; 2: 12.81 [12.75, 12.88]
      ideal: inverse (Dashed): 1: 12.8; 2: 6.4
    ");
}

#[test]
fn marks_are_hollow_and_absent_cells_are_noted() {
    insta::assert_snapshot!(outline(&figure(&partial_rows(), ChartKind::Scaling)), @"
    cifar_scaling: throughput over replicas
    test-machine · n = 3 · median, bars: lowest and highest repeat (too few for an interval)
    examples per second, all replicas over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0])
      input on host: 1: 251.00 [248.50, 252.50]; 2: 481.92 [477.12, 484.80]; 4: 491.96 [487.06, 494.90] hollow
      ideal (Dashed): 1: 251.0; 2: 502.0; 4: 1004.0
    note: hollow: oversubscribed
    note: skipped (8 devices of 1 thread need 8 cores, 2 are here): 8 devices, input on host
    note: skipped (9 devices of 1 thread need 9 cores, 2 are here): 9 devices, input on host
    note: skipped (10 devices of 1 thread need 10 cores, 2 are here): 10 devices, input on host
    note: skipped (11 devices of 1 thread need 11 cores, 2 are here): 11 devices, input on host
    note: skipped (12 devices of 1 thread need 12 cores, 2 are here): 12 devices, input on host
    note: skipped (13 devices of 1 thread need 13 cores, 2 are here): 13 devices, input on host
    note: and 2 more
    ");
}

#[test]
fn a_figure_without_data_is_refused_with_the_reason() {
    let rows = RowBuilder::cifar10(1).skipped("no GPU is here", 1);
    let none = build(
        &Summary::of(&rows),
        &cifar_story(),
        &chart(ChartKind::Scaling),
    )
    .unwrap_err();
    insta::assert_snapshot!(none, @"no completed cell: skipped (no GPU is here): 1 device, input on host");
    let none = build(
        &Summary::default(),
        &cifar_story(),
        &chart(ChartKind::Phases),
    )
    .unwrap_err();
    insta::assert_snapshot!(none, @"no completed cell: there are no rows");
}

/// Three repeats, one cell oversubscribed, many skipped for reasons of their own.
fn partial_rows() -> Vec<RepeatRow> {
    let mut rows = RowBuilder::cifar10(1).rate(250.0).repeats(3);
    rows.extend(RowBuilder::cifar10(2).rate(480.0).repeats(3));
    let four = RowBuilder::cifar10(4)
        .rate(490.0)
        .mark(Mark::Oversubscribed);
    rows.extend(four.phase(Phase::Exchange, 0.04).repeats(3));
    for replicas in 8..16 {
        let reason = format!("{replicas} devices of 1 thread need {replicas} cores, 2 are here");
        rows.extend(RowBuilder::cifar10(replicas).skipped(&reason, 1));
    }
    rows
}

/// Six series with long names over seven numbers of replicas, with large values.
fn crowded() -> (Vec<RepeatRow>, Story) {
    let mut story = cifar_story();
    let name =
        |i| format!("the long label of arm {i} that tells what all of its settings are & <more>");
    story.axes[1].labels = (0..6).map(name).collect();
    let mut rows = Vec::new();
    for (i, label) in story.axes[1].labels.iter().enumerate() {
        for replicas in [1, 2, 4, 8, 16, 32, 64] {
            let growth = f64::from(replicas).powf(0.5 + 0.08 * i as f64);
            let cell = RowBuilder::cifar10(replicas)
                .input(label)
                .rate(1e6 * growth);
            rows.extend(cell.phase(Phase::InputWait, 0.05 * i as f64).repeats(6));
        }
    }
    (rows, story)
}

/// One figure of each kind for data sets of every shape.
fn all_figures() -> Vec<Figure> {
    let (crowded_rows, crowded_story) = crowded();
    let tiny: Vec<_> = (1..4)
        .flat_map(|r| RowBuilder::cifar10(r).rate(3e-6).repeats(6))
        .collect();
    let words = ["input on device", "input on host", "no input"];
    let words = words
        .map(|label| RowBuilder::cifar10(1).input(label).repeats(2))
        .concat();
    let mut by_word = cifar_story();
    by_word.axes.remove(0);
    let sets = [
        (seed_rows(6), cifar_story()),
        (RowBuilder::cifar10(1).repeats(1), cifar_story()),
        (partial_rows(), cifar_story()),
        (crowded_rows, crowded_story),
        (tiny, cifar_story()),
        (words, by_word),
    ];
    let mut figures = Vec::new();
    for (rows, story) in sets {
        let summary = Summary::of(&rows);
        for kind in ChartKind::VARIANTS {
            let spec = ChartStory {
                kind: *kind,
                ..story.leading_chart()
            };
            figures.push(build(&summary, &story, &spec).unwrap());
        }
    }
    figures
}

/// Where the ink of a text is.
fn extent(text: &Text) -> Frame {
    let width = draw::text_width(&text.text, text.size);
    let left = match text.anchor {
        Anchor::Start => text.at.0,
        Anchor::Middle => text.at.0 - width / 2.0,
        Anchor::End => text.at.0 - width,
    };
    Frame {
        left,
        right: left + width,
        top: text.at.1 - 0.4 * text.size,
        bottom: text.at.1 + 0.4 * text.size,
    }
}

#[test]
fn no_text_touches_another_or_leaves_the_picture() {
    for figure in all_figures() {
        let scene = layout(&figure);
        let texts = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some((text, extent(text))),
            _ => None,
        });
        let texts: Vec<_> = texts.collect();
        for (i, (text, a)) in texts.iter().enumerate() {
            let inside = a.left >= 0.0 && a.right <= scene.width && a.bottom <= scene.height;
            assert!(inside, "{text:?} leaves {} x {}", scene.width, scene.height);
            for (other, b) in &texts[i + 1..] {
                let beside = a.right <= b.left || b.right <= a.left;
                let apart = beside || a.bottom <= b.top || b.bottom <= a.top;
                assert!(
                    apart,
                    "{:?} touches {:?}\n{}",
                    text,
                    other,
                    outline(&figure)
                );
            }
        }
    }
}

#[test]
fn an_svg_is_whole_escaped_and_the_same_each_time() {
    let (rows, story) = crowded();
    let figure = build(&Summary::of(&rows), &story, &story.leading_chart()).unwrap();
    let svg = draw::svg(&figure).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert!(
        svg.contains("arm 3") && svg.contains("&amp; &lt;more&gt;"),
        "{svg}"
    );
    assert!(
        svg.contains("80 000 000") && svg.contains("sans-serif"),
        "{svg}"
    );
    assert_eq!(svg, draw::svg(&figure).unwrap());
}

#[test]
fn a_png_is_whole_and_twice_the_size_of_the_layout() {
    let folder = tempfile::tempdir().unwrap();
    let figure = figure(&seed_rows(6), ChartKind::Scaling);
    let files = ["a.png", "b.png"].map(|name| folder.path().join(name));
    let [a, b] = files.map(|path| {
        draw::png(&figure, &path).unwrap();
        std::fs::read(path).unwrap()
    });
    assert_eq!(a, b);
    let number = |at: usize| u32::from_be_bytes(a[at..at + 4].try_into().unwrap());
    let scene = layout(&figure);
    assert_eq!(&a[1..4], b"PNG");
    assert_eq!(number(16), 2 * scene.width as u32);
    assert_eq!(number(20), 2 * scene.height as u32);
    assert_eq!(&a[a.len() - 8..a.len() - 4], b"IEND");
}

#[test]
fn the_font_has_every_letter_that_charts_use() {
    for letter in "µ×·…%°é≥".chars() {
        let width = draw::text_width(&letter.to_string(), 100.0);
        assert!(width > 5.0, "{letter} is {width} wide");
    }
}
