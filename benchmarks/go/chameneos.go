package main

var colours = []int{0, 1, 2, 1, 2, 0, 1, 2, 1, 0}

// What becomes of one colour that meets another.
var changed = [3][3]int{{0, 2, 1}, {2, 1, 0}, {1, 0, 2}}

const nobody = -1

type request struct {
	colour int
	answer chan int
}

func creature(colour int, requests chan request, counts chan int) {
	answer, met := make(chan int), 0
	for {
		requests <- request{colour, answer}
		other := <-answer
		if other == nobody {
			break
		}
		colour = changed[colour][other]
		met++
	}
	counts <- met
}

func broker(requests chan request, meetings int) {
	for i := 0; i < meetings; i++ {
		left := <-requests
		right := <-requests
		left.answer <- right.colour
		right.answer <- left.colour
	}
	for range colours {
		last := <-requests
		last.answer <- nobody
	}
}

func chameneos(numbers []int) (int, int) {
	requests, counts := make(chan request), make(chan int)
	for _, colour := range colours {
		go creature(colour, requests, counts)
	}
	go broker(requests, numbers[0])
	sum := 0
	for range colours {
		sum += <-counts
	}
	return 1, sum
}
