package main

const members = 503

// A token goes round a ring; whoever gets zero has won.  It goes on for one
// more lap, to end all of them.
func threadring(numbers []int) (int, int) {
	ring := [members]chan int{}
	for i := range ring {
		ring[i] = make(chan int)
	}
	winner, over := 0, make(chan int)
	for i := range ring {
		left, right := ring[i], ring[(i+1)%members]
		go func(number int) {
			token := <-left
			for ; token > 0; token = <-left {
				right <- token - 1
			}
			if token == 0 {
				winner = number
			}
			if token > 1-members {
				right <- token - 1
			} else {
				over <- winner
			}
		}(i + 1)
	}
	ring[0] <- numbers[0]
	return 1, <-over
}
