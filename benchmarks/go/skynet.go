package main

// A node sends the sum of its children's numbers; a leaf its own.
func node(sums chan int, number, size int) {
	if size == 1 {
		sums <- number
		return
	}
	size /= 10
	mine := make(chan int)
	for i := 0; i < 10; i++ {
		go node(mine, number+i*size, size)
	}
	total := 0
	for i := 0; i < 10; i++ {
		total += <-mine
	}
	sums <- total
}

func skynet(numbers []int) (int, int) {
	sums := make(chan int)
	go node(sums, 0, numbers[0])
	return 1, <-sums
}
