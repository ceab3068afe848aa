use bricklayer_store::*;
fn mem(what: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let g = |k: &str| status.lines().find_map(|l| l.strip_prefix(k).map(str::trim).map(str::to_owned)).unwrap();
    println!("{what}: anon {} file {} threads {}", g("RssAnon:"), g("RssFile:"), g("Threads:"));
}
fn main() {
    const T: Table<String, String> = Table::new("t");
    let d = tempfile::tempdir_in("/tmp").unwrap();
    mem("start");
    let s = Store::open(&d.path().join("s"), Schema{application:"x",version:1,migrations:&[]}).unwrap();
    mem("open");
    for i in 0..3000 { let mut b = Batch::new(); b.put(&T, &format!("{}", i%60), &"x".repeat(700)); s.commit_blocking(b).unwrap(); if i==0||i==100||i==1000 {mem("commits");} }
    mem("3000");
    s.close();
    mem("closed");
    let s = Store::open(&d.path().join("s"), Schema{application:"x",version:1,migrations:&[]}).unwrap();
    mem("reopened");
    drop(s);
}
