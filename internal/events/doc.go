// Package events has the history of a store as the list of its events. Tests compare the answers of stores with it.
//
//   - A [List] computes from its events what existed at a revision, what a watch has to deliver, and which events a write makes.
//   - [Read] reads the list from a store. A [Follower] records what a watch yields while a test runs.
package events
