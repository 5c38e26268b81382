//! Exercises: the learner's own file in a folder of their own, and a check that begins it and looks at what the kernel
//! did. What the check prints is a protocol of lines (see `labs/lib.sh`); a check that says nothing has failed.

use super::Lab;
use super::place::Place;
use super::shell::Shell;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One line of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The baseline holds, or does not.
    Baseline(bool, String),
    /// Something that must be so, and whether it is.
    Expected(bool, String),
    /// It cannot be checked here.
    Skipped(String),
    /// Anything else.
    Note(String),
    /// The check's last word.
    End,
}

impl Said {
    fn parse(line: &str) -> Said {
        let rest = |prefix| line.strip_prefix(prefix).map(str::to_string);
        rest("baseline ok ")
            .map(|text| Said::Baseline(true, text))
            .or_else(|| rest("baseline not ok ").map(|text| Said::Baseline(false, text)))
            .or_else(|| rest("ok ").map(|text| Said::Expected(true, text)))
            .or_else(|| rest("not ok ").map(|text| Said::Expected(false, text)))
            .or_else(|| rest("skip ").map(Said::Skipped))
            .or_else(|| (line == "done").then_some(Said::End))
            .unwrap_or_else(|| Said::Note(line.strip_prefix("# ").unwrap_or(line).to_string()))
    }
}

/// How a whole check went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// All that must be so is so.
    Solved,
    /// Something is not.
    Unsolved,
    /// This machine cannot say.
    Skipped(String),
}

/// Which script is checked.
#[derive(Debug, Clone)]
pub enum With {
    /// The learner's.
    Learner,
    /// What the learner begins with.
    Skeleton,
    /// The solution.
    Solution,
    /// A file.
    File(PathBuf),
}

/// Where a learner's files are: `$BOXWRIGHT_LABS`, else `~/boxwright-labs`.
///
/// # Errors
/// When HOME is not set.
pub fn workspace(lab: &Lab) -> Result<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let all = var("BOXWRIGHT_LABS").or_else(|| var("HOME").map(|home| home.join("boxwright-labs")));
    let all = all.ok_or_else(|| Error::new("no place for your files: HOME is not set").hint("set BOXWRIGHT_LABS"))?;
    Ok(all.join(lab.folder))
}

/// The learner's file, made from the skeleton where there is none yet.
///
/// # Errors
/// EACCES, ENOSPC.
pub fn learners_file(lab: &Lab) -> Result<PathBuf> {
    let dir = workspace(lab)?;
    let file = dir.join("exercise.sh");
    if !file.exists() {
        write(&dir, "exercise.sh", lab.file("exercise.sh"))?;
        write(&dir, "script.sh", lab.file("script.sh"))?;
    }
    Ok(file)
}

/// Puts the skeleton back in place of the learner's file, which stays as `exercise.sh.old`.
///
/// # Errors
/// EACCES, ENOSPC.
pub fn reset(lab: &Lab) -> Result<PathBuf> {
    let dir = workspace(lab)?;
    let file = dir.join("exercise.sh");
    // The skeleton itself is no work that would have to be kept.
    if std::fs::read_to_string(&file).is_ok_and(|text| text != lab.file("exercise.sh")) {
        let old = dir.join("exercise.sh.old");
        std::fs::rename(&file, &old).map_err(|e| Error::io(format!("rename({})", file.display()), &e))?;
    }
    learners_file(lab)
}

/// Writes a file of a lab.
///
/// # Errors
/// EACCES, ENOSPC.
pub fn write(dir: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| Error::io(format!("mkdir({})", dir.display()), &e))?;
    let file = dir.join(name);
    std::fs::write(&file, text).map_err(|e| Error::io(format!("write({})", file.display()), &e))?;
    let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode))
        .map_err(|e| Error::io(format!("chmod({})", file.display()), &e))
}

/// Runs the check of a lab. `listen` gets each line with the time that it took.
///
/// # Errors
/// When the check does not end.
pub fn check(lab: &Lab, with: &With, place: &Place, listen: &mut dyn FnMut(&Said, Duration)) -> Result<Verdict> {
    let file = match with {
        With::Learner => learners_file(lab)?,
        With::Skeleton => place.tool("exercise.sh", lab.file("exercise.sh"))?,
        With::Solution => place.tool("exercise.sh", lab.file("solution.sh"))?,
        With::File(file) => file.clone(),
    };
    let program = place.tool("check.sh", &format!("{}\n{}", super::lib(), lab.file("check.sh")))?;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    // The guard is the parent of this process, and whatever is orphaned becomes its child.
    let code =
        format!("EXERCISE={} LAB_PID={} sh {}", quoted(&file), std::os::unix::process::parent_id(), quoted(&program));
    let mut shell = Shell::start(place, false)?;
    let (mut said, mut begin) = (Vec::new(), Instant::now());
    shell.run(&code, &mut |text| {
        for line in text.lines().map(Said::parse) {
            listen(&line, begin.elapsed());
            begin = Instant::now();
            said.push(line);
        }
    })?;
    if said.last() != Some(&Said::End) {
        listen(&Said::Note("something has ended this check before its end".into()), begin.elapsed());
    }
    Ok(verdict(&said))
}

fn verdict(said: &[Said]) -> Verdict {
    if let Some(Said::Skipped(reason)) = said.iter().find(|s| matches!(s, Said::Skipped(_))) {
        return Verdict::Skipped(reason.clone());
    }
    let bad = said.iter().any(|s| matches!(s, Said::Baseline(false, _) | Said::Expected(false, _)));
    // Whatever ends a check ends it before its last word.
    let good = said.last() == Some(&Said::End) && said.iter().any(|s| matches!(s, Said::Expected(true, _)));
    if good && !bad { Verdict::Solved } else { Verdict::Unsolved }
}

/// The hints of a lab, from the gentlest on.
pub fn hints(lab: &Lab) -> Vec<&'static str> {
    lab.file("hints.md").split("\n---\n").map(str::trim).filter(|hint| !hint.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_says_nothing_has_failed() {
        let good = Said::parse("ok it is so");
        assert_eq!(verdict(&[]), Verdict::Unsolved);
        assert_eq!(verdict(&[Said::parse("baseline ok x")]), Verdict::Unsolved);
        assert_eq!(verdict(&[Said::parse("baseline ok x"), good.clone(), Said::End]), Verdict::Solved);
        assert_eq!(verdict(&[Said::parse("baseline ok x"), good.clone()]), Verdict::Unsolved, "it was ended");
        assert_eq!(verdict(&[good.clone(), Said::parse("not ok y"), Said::End]), Verdict::Unsolved);
        assert_eq!(verdict(&[Said::parse("baseline not ok x"), good.clone(), Said::End]), Verdict::Unsolved);
        assert_eq!(verdict(&[good, Said::parse("skip no disk")]), Verdict::Skipped("no disk".into()));
    }
}
