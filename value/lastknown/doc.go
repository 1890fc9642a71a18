// Package lastknown keeps what a program last knew of its keys, for a start at which their store does not answer.
//
// A program that reads its configuration from a store cannot start while the store is down, although the configuration has
// probably not changed since yesterday. So a Value, a Map or a bundle saves what it knows, and begins with that at a start without an answer
// from the store:
//
//	saved := lastknown.Of(lastknown.NewDir("/var/lib/app/lastknown"), []byte("production"))
//	limits := value.New(store, "/app/limits", value.JSON[Limits], value.WithLastKnown(saved, 5*time.Second))
//
// A program that uses package kv alone saves and loads by itself:
//
//	dir := lastknown.NewDir("/var/lib/app/lastknown")
//	err := dir.Save(ctx, lastknown.Record{Range: kv.Key("/app/limits"), Snapshot: snapshot})
//	record, err := dir.Load(ctx, kv.Key("/app/limits"))
//
// No error of this package is a reason to end a program. After an error of Save, the previous record is still there. After an
// error of Load, the program waits for its store as it would without this package. Log the error.
//
// [Store] is the interface, for records that are kept elsewhere. [Dir] keeps them in a directory.
//
// # What a Dir promises
//
//   - A record is loaded as it was saved, or not at all. Each file has a checksum of all its bytes. A file that is torn, that was
//     changed, or that is of another range is an error that matches [ErrDamaged] or [ErrForeign].
//   - When Save returns nil, the record survives the end of the process and the failure of the machine, as far as the disk
//     keeps what it has confirmed.
//   - When Save fails, or the process or the machine stops in the middle of it, the previous record or the new one is loaded,
//     and never a mixture.
//   - Several goroutines and several processes may load and save in one directory. The record that was saved last remains. It may
//     be older than another one if its process was behind.
//
// A file is readable by its owner only, because values may be secrets. Use a directory for each cluster: the name of a file does not
// depend on [Record].Cluster.
//
// # Files
//
// There is one file for each range. Its name begins with letters of the key, for people, and ends with a hash of the range, which
// makes it unique on any file system. The file has one line of text, and then JSON, in which keys and values are base64:
//
//	watchkv-lastknown 1 417 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//	{"range":"\"/app/limits\"","revision":812,...}
//
// The line holds the version of the format, the length of the JSON in bytes, and its SHA-256. To see a value:
//
//	tail -n +2 app-limits-*.lastknown | jq -r '.entries[].value | @base64d'
//
// To make a program forget, delete the file. A process that is killed while it saves may leave a file that ends in .tmp. A later Save in the
// directory removes it when it is an hour old.
//
// On Windows, Save fails while another process has the file open, and directories are not flushed.
package lastknown
