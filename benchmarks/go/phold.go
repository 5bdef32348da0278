package main

import "container/heap"

const parts = 1000

type events []int

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i] < e[j] }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(int)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func draw(seed int) int {
	return (seed*1_103_515_245 + 12_345) & 0x7FFFFFFF
}

func part(seed int, inbox, answers chan int) {
	for event := range inbox {
		seed = draw(seed)
		when := event/parts + 1 + (seed>>8)%1000
		seed = draw(seed)
		answers <- when*parts + (seed>>8)%parts
	}
}

// A discrete-event simulation; the checksum of its events.
func phold(numbers []int) (int, int) {
	answers := make(chan int)
	inboxes := [parts]chan int{}
	pending := events{}
	for i := range inboxes {
		inboxes[i] = make(chan int)
		go part(i, inboxes[i], answers)
		pending = append(pending, i)
	}
	checksum := 0
	for i := 0; i < numbers[0]; i++ {
		event := pending[0]
		checksum = (checksum*31 + event) & 0xFFFFFFFF
		inboxes[event%parts] <- event
		pending[0] = <-answers
		heap.Fix(&pending, 0)
	}
	for _, inbox := range inboxes {
		close(inbox)
	}
	return 1, checksum
}
