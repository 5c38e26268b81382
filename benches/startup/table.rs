//! Many times become one line each.

use crate::subjects::Subject;

/// Prints what was measured.
pub fn print(subjects: &[Subject], hot: &[Vec<f64>], isolated: &[Vec<f64>], peaks: &[u64]) {
    let crun = subjects.iter().position(|s| s.name == "crun");
    println!(
        "\n{:<34} {:>41}   {:>41} {:>8}\n{:<34} {:>8} {:>8} {:>8} {:>6} {:>6}    {:>8} {:>8} {:>8} {:>6} {:>6} {:>8}",
        "",
        "hot: µs",
        "isolated: µs",
        "peak",
        "",
        "median",
        "least",
        "x floor",
        "x least",
        "x crun",
        "median",
        "least",
        "x floor",
        "x least",
        "x crun",
        "KiB"
    );
    for (n, subject) in subjects.iter().enumerate() {
        let floor = subjects.iter().position(|s| s.name == subject.floor);
        print!("{:<34}", subject.name);
        for times in [hot, isolated] {
            let against =
                |other: Option<usize>| other.map_or("-".into(), |o| format!("{:.2}", ratio(&times[n], &times[o])));
            let least = floor.map_or("-".into(), |f| format!("{:.2}", least(&times[n]) / self::least(&times[f])));
            print!(
                " {:>8.0} {:>8.0} {:>8} {:>7} {:>6}   ",
                median(times[n].clone()),
                self::least(&times[n]),
                against(floor),
                least,
                against(crun)
            );
        }
        println!("{:>8}", peaks[n]);
    }
    println!(
        "\nx floor, x crun: the median over all rounds of the ratio within the round; x least: the ratio of the least.\n\
         full-run and the stages are held against the floor that makes the same kinds of things (its cgroups, and a\n\
         network namespace where there is one). crun and runc run their own `spec`'s bundle, which has no filter."
    );
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(ours.iter().zip(theirs).map(|(a, b)| a / b).collect())
}
