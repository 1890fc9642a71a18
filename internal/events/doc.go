// Package events is what a store has been, as the list of its events: what tests compare the answers of stores with.
//
//   - A [List] says what follows from events: what existed at a revision, what a watch has to deliver, and which events a
//     write makes.
//   - [Read] takes the list from a store, and a [Follower] notes what a watch yields while a test runs.
package events
