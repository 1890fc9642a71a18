// Package values has the checks of V1 to V16 and of M1 to M8: what a program gets from a Value, a Map or a bundle on top of the
// store that is tested, while the store is cut off, loses watches or forgets history. A file is about one subject, and begins with
// the rows of its checks.
package values
