// Package events keeps the last events and hands new ones to subscribers.
//
// It knows how many events a subscriber may be behind and what since reaches, and what befalls events: they are lost,
// late, or their streams end. It must not know what they are about, nor how they are sent: package serve does.
//
// The Hub's lock guards it and all its subscriptions; below it only that of [wait.Changes] is taken.
package events
